"""A tagger: any encoder that `AutoModel` builds, and one linear layer over each of its states.

Devlin et al. 2019 (BERT), section 5.3; Conneau et al. 2020 (XLM-R).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import TokenClassifierOutput

from utils.quiet import quiet_loading

IGNORED = -100  # the label of a position that has no tag; cross-entropy leaves it out


class TokenClassifierConfig(PreTrainedConfig):
    """The encoder's own configuration, and the tags.

    It has a model type of its own because a library's configuration belongs to the library's
    models: `AutoModelForTokenClassification.register(BertConfig, ...)` is refused.

    Args:
        encoder: a configuration, or its fields with `model_type` among them; None is BERT's.
        kwargs: `id2label`, `label2id` and whatever else a configuration takes.
    """

    model_type = "encoder-token-classifier"
    sub_configs: ClassVar[dict[str, type]] = {"encoder": AutoConfig}

    def __init__(
        self, encoder: PreTrainedConfig | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not isinstance(encoder, PreTrainedConfig):
            encoder = AutoConfig.for_model(**({"model_type": "bert"} | (encoder or {})))
        self.encoder = encoder
        super().__init__(**kwargs)

    @classmethod
    def from_tags(cls, encoder: PreTrainedConfig, tags: Sequence[str]) -> TokenClassifierConfig:
        """The configuration of a tagger whose tag ids are the places in `tags`, or ValueError."""
        if not tags or len(set(tags)) < len(tags):
            raise ValueError(f"tags={list(tags)} is no tag set: name at least one, each once.")
        ids = {tag: place for place, tag in enumerate(tags)}
        return cls(encoder, id2label=dict(enumerate(tags)), label2id=ids)


class EncoderForTokenClassification(PreTrainedModel):
    """A tag for every token: the encoder's states (B, T, D), dropout, one layer D -> C for all."""

    config_class = TokenClassifierConfig
    base_model_prefix = "body"
    accepts_loss_kwargs = False  # the loss is the mean over a batch, as Trainer should know

    def __init__(self, config: TokenClassifierConfig) -> None:
        super().__init__(config)
        self.body = AutoModel.from_config(config.encoder, **without_pooler(config.encoder))
        self.dropout = nn.Dropout(getattr(config.encoder, "hidden_dropout_prob", 0.1))
        self.classifier = nn.Linear(config.encoder.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """Logits (B, T, C), and with labels (B, T) the mean cross-entropy where they are not -100.

        All else, (B, T) each or `inputs_embeds` (B, T, D), is as the encoder takes it.
        """
        outputs = self.body(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        logits = self.classifier(self.dropout(outputs.last_hidden_state))  # (B, T, C)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        return TokenClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    @classmethod
    def from_encoder(
        cls,
        checkpoint: str | PathLike[str],
        tags: Sequence[str],
        *,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> EncoderForTokenClassification | tuple[EncoderForTokenClassification, dict[str, Any]]:
        """A pretrained body under a new head, whose weights the seed decides.

        Nothing is printed about the checkpoint's own head, which is left over.

        Args:
            checkpoint: what `from_pretrained` takes, of an encoder with or without a head.
            tags: their order is that of the ids.
            output_loading_info: also return what was missing, and what was left over.
            kwargs: for `from_pretrained`, `revision` for one.

        Raises:
            ValueError: there are no tags, or one occurs twice.
        """
        with quiet_loading():
            config = AutoConfig.from_pretrained(checkpoint, **kwargs)
            body, info = AutoModel.from_pretrained(
                checkpoint, output_loading_info=True, **without_pooler(config), **kwargs
            )
            model, head_info = cls.from_pretrained(
                None,
                config=cls.config_class.from_tags(body.config, tags),
                state_dict={f"body.{name}": weight for name, weight in body.state_dict().items()},
                output_loading_info=True,
            )
        missing = {f"body.{name}" for name in info["missing_keys"]} | head_info["missing_keys"]
        return (model, info | {"missing_keys": missing}) if output_loading_info else model


def without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """The option that leaves out the layer over the first state, where the encoder has one."""
    model_class = MODEL_MAPPING[type(config)]
    has_pooler = "add_pooling_layer" in inspect.signature(model_class).parameters
    return {"add_pooling_layer": False} if has_pooler else {}


AutoConfig.register(TokenClassifierConfig.model_type, TokenClassifierConfig)
AutoModelForTokenClassification.register(TokenClassifierConfig, EncoderForTokenClassification)

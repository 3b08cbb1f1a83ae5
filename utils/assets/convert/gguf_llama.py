"""A Llama model in GGUF -> LlamaForCausalLM in fp32 and its tokenizer.

transformers reads GGUF too, slowly each time, and does not save what it read.
"""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from utils.assets.convert import checkpoint

NAMES = {  # llama.cpp's names -> those of LlamaForCausalLM
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk": "model.layers",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

SETTINGS = {  # names in the file -> those of LlamaConfig
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
SPECIAL_TOKENS = {"bos": "bos", "eos": "eos", "pad": "padding"}


def convert(files: Mapping[str, Path], target: Path) -> None:
    (path,) = files.values()
    reader = gguf.GGUFReader(path)
    config = _config(reader)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    generation = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    weights = _weights(reader, config)
    checkpoint.save(LlamaForCausalLM, config, weights, target, generation=generation)
    tokenizer.save_pretrained(target)


def _config(reader: gguf.GGUFReader) -> LlamaConfig:
    values = {name: field.contents() for name, field in reader.fields.items() if "llama" in name}
    settings = {setting: values[f"llama.{name}"] for name, setting in SETTINGS.items()}
    special = {
        f"{token}_token_id": reader.fields[f"tokenizer.ggml.{name}_token_id"].contents()
        for token, name in SPECIAL_TOKENS.items()
    }
    rope = {"rope_type": "default", "rope_theta": values["llama.rope.freq_base"]}
    is_tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    return LlamaConfig(**settings, **special, rope_parameters=rope, tie_word_embeddings=is_tied)


def _weights(reader: gguf.GGUFReader, config: LlamaConfig) -> dict[str, np.ndarray]:
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        weight = gguf.dequantize(tensor.data, tensor.tensor_type)
        if parts[-2] in heads:
            weight = _rotate_halves(weight, heads[parts[-2]])
        weights[".".join(NAMES.get(part, part) for part in parts)] = weight
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    return weights


def _rotate_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows from llama.cpp's order, which rotates neighbours, to Llama's, which rotates halves."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)

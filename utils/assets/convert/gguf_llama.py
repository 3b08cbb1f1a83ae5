"""A Llama model in GGUF -> LlamaForCausalLM in fp32 and its tokenizer.

transformers reads GGUF too, in half a minute each time, and does not save what it read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.assets.convert import checkpoint

if TYPE_CHECKING:
    import numpy as np
    from transformers import LlamaConfig

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


def convert(files: Mapping[str, Path], target: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig, LlamaForCausalLM

    (path,) = files.values()
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    config.architectures = [LlamaForCausalLM.__name__]
    weights = _weights(path, config)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    generation = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    checkpoint.save(LlamaForCausalLM, config, weights, target, generation=generation)
    tokenizer.save_pretrained(target)


def _weights(path: Path, config: "LlamaConfig") -> dict[str, "np.ndarray"]:
    from gguf import GGUFReader, dequantize

    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in GGUFReader(path).tensors:
        parts = tensor.name.split(".")
        weight = dequantize(tensor.data, tensor.tensor_type)
        if parts[-2] in heads:
            weight = _rotate_halves(weight, heads[parts[-2]])
        weights[".".join(NAMES.get(part, part) for part in parts)] = weight
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    return weights


def _rotate_halves(weight: "np.ndarray", heads: int) -> "np.ndarray":
    """Rows from llama.cpp's order, which rotates neighbours, to Llama's, which rotates halves."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)

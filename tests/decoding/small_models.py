"""Library models with random weights, ours with the same, and prompts for them."""

import torch
import transformers

from utils.models.gpt2 import GPT2
from utils.models.llama import Llama

VOCABULARY = 50
PAD = VOCABULARY - 1
NO_END = {"eos_token_id": None, "pad_token_id": PAD}
ARTICLE = {  # for a `ToyLM`
    ("The",): {"nice": 0.5, "dog": 0.4, "car": 0.1},
    ("The", "nice"): {"woman": 0.4, "house": 0.3, "guy": 0.3},
    ("The", "dog"): {"has": 0.9, "runs": 0.05, "and": 0.05},
    ("The", "car"): {"drives": 0.5, "is": 0.3, "turns": 0.2},
}


def small_llama():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=32,
        initializer_range=0.2, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def small_gpt2(**options):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 32}
    others = {"initializer_range": 0.2, "bos_token_id": None, "eos_token_id": None}
    config = transformers.GPT2Config(**sizes | others | options)
    return transformers.GPT2LMHeadModel(config).eval()


def from_scratch(library):
    families = {"llama": Llama, "gpt2": GPT2}
    return families[library.config.model_type].from_library(library)


def random_prompts():
    """Four of five tokens; two of the third one are padding."""
    ids = torch.randint(PAD, (4, 5), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[2, :2] = 0
    return {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}


def shapes_read(strategy, decoder, **options):
    """The shape of the ids at each step of a strategy that adds three tokens to random prompts."""
    shapes, prompts = [], random_prompts()

    def step(ids, cache):
        shapes.append(tuple(ids.shape))
        return decoder.step(ids, cache)

    cache = decoder.new_cache(prompts["attention_mask"], 3)
    strategy(step, prompts["input_ids"], cache, max_new_tokens=3, **options)
    return shapes


def run(strategy, decoder, prompts, *args, max_new_tokens, **options):
    """A strategy over steps, with a new cache for prompts as a tokenizer gives them."""
    cache = decoder.new_cache(prompts["attention_mask"], max_new_tokens)
    options["max_new_tokens"] = max_new_tokens
    return strategy(decoder.step, prompts["input_ids"], cache, *args, **options)


@torch.no_grad()
def total_log_prob(library, ids, num_prompt):
    """(B,) log-probability of what follows the prompt in ids (B, L), by torch's cross-entropy."""
    logits = library(ids).logits[:, num_prompt - 1 : -1]  # (B, new, V)
    losses = torch.nn.functional.cross_entropy(logits.mT, ids[:, num_prompt:], reduction="none")
    return -losses.sum(dim=1)

"""Decoding strategies against the library's `generate`, on our models and on the library's."""

import pytest
import torch
import transformers

from utils.decoding import LibraryDecoder, greedy
from utils.models.cache import ContextLengthError
from utils.models.gpt2 import GPT2
from utils.models.llama import Llama

PROMPTS = ["The capital of France is", "My cat"]
NEW = 50


@pytest.fixture(scope="module")
def prompts(smollm2):
    return smollm2.tokenizer(PROMPTS, return_tensors="pt", padding=True)


@pytest.fixture(scope="module")
def generated(smollm2, prompts):
    """(B, T + new) by the library, which pads what is finished with the end token."""
    return generate(smollm2.reference, prompts, NEW)


@pytest.fixture(params=["llama", "gpt2"])
def small(request):
    """A library model with random weights."""
    torch.manual_seed(0)
    if request.param == "llama":
        config = transformers.LlamaConfig(
            vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
            num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=32,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()
    config = transformers.GPT2Config(
        vocab_size=50, n_embd=24, n_layer=2, n_head=4, n_positions=32, initializer_range=0.2
    )
    return transformers.GPT2LMHeadModel(config).eval()


def from_scratch(library):
    families = {"llama": Llama, "gpt2": GPT2}
    return families[library.config.model_type].from_library(library)


def generate(model, prompts, max_new_tokens, **options):
    return model.generate(**prompts, max_new_tokens=max_new_tokens, do_sample=False, **options)


def decode(decoder, prompts, max_new_tokens, **options):
    cache = decoder.new_cache(prompts["attention_mask"], max_new_tokens)
    ids = prompts["input_ids"]
    return greedy(decoder.step, ids, cache, max_new_tokens=max_new_tokens, **options)


def random_prompts():
    ids = torch.randint(49, (4, 5))
    mask = torch.ones_like(ids)
    mask[2, :2] = 0
    return {"input_ids": ids.masked_fill(mask == 0, 49), "attention_mask": mask}


def unpadded(prompts, row):
    ids = prompts["input_ids"][row : row + 1, prompts["attention_mask"][row].bool()]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_ids_equal_generate_for_padded_prompts(smollm2, prompts, generated):
    assert not prompts["attention_mask"].all()
    assert torch.equal(decode(smollm2.ours, prompts, NEW, eos_id=2), generated)


def test_ids_do_not_depend_on_the_batch(smollm2, prompts, generated):
    num_prompt_tokens = prompts["input_ids"].shape[1]
    alone = unpadded(prompts, row=0)
    ids = decode(smollm2.ours, alone, NEW, eos_id=2)
    assert torch.equal(ids, generate(smollm2.reference, alone, NEW))
    new = ids[0, alone["input_ids"].shape[1] :]
    assert torch.equal(new, generated[0, num_prompt_tokens:][: len(new)])


def test_ids_equal_generate_without_a_cache(smollm2, prompts):
    prompt = unpadded(prompts, row=1)

    def full_forward(ids, seen):
        seen.append(ids)
        return smollm2.ours(torch.cat(seen, dim=1))[:, -1]

    ids = greedy(full_forward, prompt["input_ids"], [], max_new_tokens=NEW, eos_id=2)
    assert torch.equal(ids, generate(smollm2.reference, prompt, NEW))


def test_library_models_take_steps_too(smollm2, prompts, generated):
    decoder = LibraryDecoder(smollm2.reference)
    ids = decode(decoder, prompts, 8, eos_id=2)
    assert torch.equal(ids, generated[:, : ids.shape[1]])


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_finished_rows_are_padded_until_all_are_finished(small, make):
    prompts = random_prompts()
    free = decode(make(small), prompts, 20)
    options = {"eos_token_id": None, "pad_token_id": 49}
    assert torch.equal(free, generate(small, prompts, 20, **options))
    for eos_id in free[:, 5:].unique().tolist():
        expected = generate(small, prompts, 20, **options | {"eos_token_id": eos_id})
        assert torch.equal(decode(make(small), prompts, 20, eos_id=eos_id, pad_id=49), expected)


def test_finished_rows_are_filled_with_the_end_token_by_default(small):
    """One row ends at its first new token, the other goes on."""
    ids = torch.tensor([[1, 2], [3, 4]])
    steps = iter([[7, 5], [9, 6], [9, 7]])

    def step(ids, cache):
        return torch.nn.functional.one_hot(torch.tensor(next(steps)), 10)

    continued = greedy(step, ids, None, max_new_tokens=9, eos_id=7)
    assert continued.tolist() == [[1, 2, 7, 7, 7], [3, 4, 5, 6, 7]]


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_a_reordered_cache_continues_the_chosen_rows(small, make):
    ids = torch.randint(50, (3, 6))
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    rows = torch.tensor([1, 1, 2, 0])
    decoder = make(small)
    cache, expected = decoder.new_cache(mask, 2), decoder.new_cache(mask[rows], 2)
    decoder.step(ids, cache)
    cache.reorder(rows)
    decoder.step(ids[rows], expected)
    new = torch.randint(50, (4, 1))
    torch.testing.assert_close(decoder.step(new, cache), decoder.step(new, expected))


@pytest.mark.parametrize(
    ("ids", "max_new_tokens", "message"),
    [
        (torch.ones(1, 3, dtype=torch.long), 0, r"^max_new_tokens is 0: ask for 1 or more\.$"),
        (torch.ones(1, 0, dtype=torch.long), 5, r"^Prompts have shape \(1, 0\): give"),
        (torch.ones(3, dtype=torch.long), 5, r"^Prompts have shape \(3,\): give"),
    ],
)
def test_requests_that_make_no_sense_get_one_sentence(ids, max_new_tokens, message):
    with pytest.raises(ValueError, match=message):
        greedy(None, ids, None, max_new_tokens=max_new_tokens)


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_more_than_the_model_can_hold_gets_one_sentence(small, make):
    with pytest.raises(ContextLengthError, match=r"^35 tokens exceed the 32 positions"):
        make(small).new_cache(torch.ones(1, 30, dtype=torch.long), max_new_tokens=5)


def test_more_than_the_cache_can_hold_gets_one_sentence(small):
    decoder = from_scratch(small)
    ids = torch.ones(1, 3, dtype=torch.long)
    cache = decoder.new_cache(torch.ones_like(ids), max_new_tokens=2)
    with pytest.raises(ContextLengthError, match=r"^6 tokens do not fit the cache of 5"):
        greedy(decoder.step, ids, cache, max_new_tokens=4)

"""Texts from prompts against the library's `generate` and tokenizer."""

import numpy as np
import pandas as pd
import pytest
import tokenizers
import torch
import transformers
from small_models import from_scratch, small_gpt2, total_log_prob

from utils.decoding import TextGenerator
from utils.models.cache import ContextLengthError

CORPUS = ["the dog has a cat", "a cat is nice, très «nice»", "the woman and the house", "犬と猫"]
PROMPTS = ["the dog", "a nice woman and", "cat"]
END = "<|end|>"


def byte_level_tokenizer():
    """As GPT-2's: an end token, and none for padding."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def sentencepiece_tokenizer():
    """As Llama's: the first word of what is decoded loses its space."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=[END], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


@pytest.fixture(scope="module")
def tokenizer():
    return byte_level_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    return small_gpt2(vocab_size=len(tokenizer), n_positions=48)


@pytest.fixture(params=["of the library", "from scratch"])
def generator(request, model, tokenizer):
    if request.param == "from scratch":
        return TextGenerator(from_scratch(model), tokenizer)
    return TextGenerator(model, tokenizer)


def generate(model, tokenizer, **options):
    """(B, T + new) by the library, for padded prompts; and T."""
    rows = tokenizer(PROMPTS)["input_ids"]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    end = tokenizer.eos_token_id
    options = {"max_new_tokens": 20, "eos_token_id": end, "pad_token_id": end} | options
    return model.generate(ids, attention_mask=mask, **options), longest


def check(generation, tokenizer, expected, num_prompt):
    """The library's new ids and texts, row by row."""
    new = [row[num_prompt:] for row in expected.tolist()]
    end = tokenizer.eos_token_id
    new = [row[: row.index(end) + 1] if end in row else row for row in new]
    assert generation.ids == new
    assert generation.texts == tokenizer.batch_decode(new, skip_special_tokens=True)


def test_greedy_texts_are_those_of_the_library(generator, model, tokenizer):
    generation = generator.generate(PROMPTS, max_new_tokens=20)
    check(generation, tokenizer, *generate(model, tokenizer, do_sample=False))
    assert generation.method == "greedy"
    assert generation.prompts == PROMPTS
    assert generation.prompt_ids == tokenizer(PROMPTS)["input_ids"]
    assert generation.num_model_calls == max(map(len, generation.ids))
    assert generation.seconds > 0


def test_beams_are_those_of_the_library(generator, model, tokenizer):
    settings = {"num_beams": 3, "num_return_sequences": 2, "no_repeat_ngram_size": 3}
    generation = generator.generate(PROMPTS, "beam", max_new_tokens=20, **settings)
    check(generation, tokenizer, *generate(model, tokenizer, do_sample=False, **settings))
    assert generation.settings == settings
    assert generation.prompts == [prompt for prompt in PROMPTS for _ in range(2)]


def test_samples_are_those_of_the_library(generator, model, tokenizer):
    settings = {"temperature": 1.2, "top_k": 30, "top_p": 0.9}
    generation = generator.generate(
        PROMPTS, "sample", max_new_tokens=20, num_samples=4, seed=3, **settings
    )
    torch.manual_seed(3)
    options = {"do_sample": True, "num_return_sequences": 4} | settings
    check(generation, tokenizer, *generate(model, tokenizer, **options))
    assert len(set(generation.texts)) == 12


def test_texts_may_end_early(generator, model, tokenizer):
    """Nothing follows an end token, and the text does not show it."""
    settings = {"temperature": 3.0, "num_samples": 40}
    generation = generator.generate(PROMPTS, "sample", max_new_tokens=20, **settings)
    ended = [ids for ids in generation.ids if ids[-1] == tokenizer.eos_token_id]
    assert 0 < len(ended) < 120
    assert all(tokenizer.eos_token_id not in ids[:-1] for ids in generation.ids)
    assert not any(END in text for text in generation.texts)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("greedy", {}),
        ("beam", {"num_beams": 3, "num_return_sequences": 2}),
        ("sample", {"num_samples": 3, "top_k": 9}),
        ("contrastive", {"k": 3, "penalty": 0.4}),
        ("speculative", {"num_samples": 2, "temperature": 0.7, "num_drafted": 3}),
    ],
)
def test_log_probs_are_those_of_the_model(generator, model, method, settings):
    generation = generator.generate(PROMPTS, method, max_new_tokens=9, **settings)
    rows = zip(generation.prompt_ids, generation.ids, generation.log_probs, strict=True)
    for prompt_ids, ids, log_probs in rows:
        assert log_probs.shape == (len(ids),)
        text = torch.tensor([[*prompt_ids, *ids]])
        expected = total_log_prob(model, text, len(prompt_ids)).item()
        assert log_probs.sum() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("method", ["sample", "speculative"])
def test_the_seed_decides(generator, method):
    def texts(seed):
        options = {"max_new_tokens": 9, "num_samples": 2}
        return generator.generate(PROMPTS, method, seed=seed, **options).texts

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert len(set(texts(1))) == 6


def test_contrastive_and_speculative_search_have_greedy_as_their_limit(generator):
    greedy = generator.generate(PROMPTS, max_new_tokens=9)
    contrastive = generator.generate(PROMPTS, "contrastive", max_new_tokens=9, penalty=0.0)
    speculative = generator.generate(PROMPTS, "speculative", max_new_tokens=9, top_k=1)
    assert contrastive.ids == greedy.ids
    assert speculative.ids == greedy.ids
    assert speculative.prompts == PROMPTS


def test_one_prompt_need_not_be_in_a_list(generator):
    one = generator.generate(PROMPTS[1], max_new_tokens=9)
    assert one.prompts == [PROMPTS[1]]
    assert one.texts == generator.generate(PROMPTS, max_new_tokens=9).texts[1:2]


@pytest.mark.parametrize(
    ("method", "options"),
    [("greedy", {}), ("sample", {"num_samples": 3}), ("contrastive", {})],
)
def test_pieces_of_text_add_up(generator, method, options):
    """Characters of several bytes come when they are complete."""
    told = []
    options = {"max_new_tokens": 20, "on_token": told.append} | options
    generation = generator.generate(PROMPTS, method, **options)
    assert len(told) > 5
    for text, *pieces in zip(generation.texts, *told, strict=True):
        rest = text.removeprefix("".join(pieces))
        assert rest != text
        assert rest == "" or rest.endswith("\N{REPLACEMENT CHARACTER}")


class Dictation(torch.nn.Module):
    """A model that says one text, whatever the prompt."""

    def __init__(self, ids, vocab_size):
        super().__init__()
        self.weight = torch.nn.Parameter(100 * torch.eye(vocab_size)[ids])

    def new_cache(self, attention_mask, max_new_tokens):
        return iter(self.weight)

    def step(self, ids, cache):
        return next(cache).expand(len(ids), -1)

    def logits(self, states):
        raise NotImplementedError


def test_pieces_are_whole_characters(tokenizer):
    """A pig in Japanese is several tokens here, as the tokenizer has never seen one."""
    ids = tokenizer("is 豚 nice")["input_ids"]
    assert len(ids) > 4
    told = []
    generator = TextGenerator(Dictation([*ids, tokenizer.eos_token_id], len(tokenizer)), tokenizer)
    generation = generator.generate("the dog ", max_new_tokens=30, on_token=told.append)
    assert generation.texts == ["is 豚 nice"]
    pieces = [piece for (piece,) in told]
    assert "".join(pieces) == "is 豚 nice"
    assert "豚" in pieces
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


def test_a_space_between_prompt_and_continuation_stays():
    tokenizer = sentencepiece_tokenizer()
    ids = tokenizer("dog has a cat")["input_ids"]
    generator = TextGenerator(Dictation([*ids, tokenizer.eos_token_id], len(tokenizer)), tokenizer)
    told = []
    generation = generator.generate("the", max_new_tokens=20, on_token=told.append)
    assert tokenizer.decode(ids) == "dog has a cat"
    assert generation.texts == [" dog has a cat"]
    assert "".join(piece for (piece,) in told) == " dog has a cat"


def test_the_model_is_shared(model, tokenizer):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    generator = TextGenerator(model, tokenizer)
    generator.generate(PROMPTS, "contrastive", max_new_tokens=5)
    assert generator.model is model
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "greddy"}, r"^There is no method 'greddy': choose 'greedy'\.$"),
        ({"method": "?"}, r"^There is no method '\?': choose 'greedy', .* or 'speculative'\.$"),
        (
            {"method": "sample", "temprature": 2.0},
            r"^sample has no setting 'temprature': choose 'temperature'\.$",
        ),
        (
            {"method": "greedy", "top_k": 5},
            r"^greedy has no setting 'top_k': choose 'no_repeat_ngram_size'\.$",
        ),
        ({"method": "beam"}, r"^beam needs to know num_beams: give 2 or more\.$"),
        ({"method": "sample", "temperature": 0}, "^temperature is 0: choose a positive number"),
        ({"method": "sample", "num_samples": 0}, r"^num_samples is 0: choose a whole number"),
        ({"num_samples": 2}, "^num_samples is 2, but greedy writes the same text each time: use"),
        (
            {"method": "beam", "num_beams": 2, "on_token": print},
            r"^beam has no on_token: its texts change until the end\.$",
        ),
        ({"max_new_tokens": 0}, r"^max_new_tokens is 0: ask for 1 or more\.$"),
        ({"prompts": ["a", ""]}, r"^Prompt '' has no tokens: give at least one word\.$"),
    ],
)
def test_requests_that_make_no_sense_get_one_sentence(generator, arguments, message):
    with pytest.raises(ValueError, match=message):
        generator.generate(**{"prompts": PROMPTS, "max_new_tokens": 3} | arguments)


@pytest.mark.parametrize("method", ["greedy", "speculative"])
def test_more_than_the_model_can_hold_gets_one_sentence(generator, method):
    with pytest.raises(ContextLengthError, match=r"exceed the 48 positions of the model: shorten"):
        generator.generate(["a", "the dog has a cat " * 20], method, max_new_tokens=3)


ALL_METHODS = {
    "greedy": {},
    "beam": {"num_beams": 2},
    "sample": {},
    "contrastive": {},
    "speculative": {},
}


def test_a_model_in_training_writes_as_always_and_stays_in_training(tokenizer):
    model = small_gpt2(vocab_size=len(tokenizer), n_positions=48, resid_pdrop=0.5)
    generator = TextGenerator(model, tokenizer)
    expected = generator.generate("the dog", max_new_tokens=20).ids
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    assert generator.generate("the dog", max_new_tokens=20).ids == expected
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_damaged_model_and_a_ban_on_everything_get_one_sentence(tokenizer, method):
    model = small_gpt2(vocab_size=len(tokenizer), n_positions=48)
    torch.nn.init.constant_(model.transformer.ln_f.bias, float("nan"))
    settings = {"max_new_tokens": 4} | ALL_METHODS[method]
    with pytest.raises(ValueError, match=r"^The model's logits are not finite: its weights"):
        TextGenerator(model, tokenizer).generate("the dog", method, **settings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [("greedy", {}), ("sample", {}), ("beam", {"num_beams": 3})],
)
def test_padding_is_no_token_of_a_text(tokenizer, method, settings):
    """With the padding of the shorter prompt banned, its text could not end."""
    model = small_gpt2(vocab_size=len(tokenizer), n_positions=48)
    generator = TextGenerator(model, tokenizer)
    settings |= {"no_repeat_ngram_size": 1, "max_new_tokens": 30}
    settings |= {"top_k": 1} if method == "sample" else {}
    model.lm_head.weight.data[tokenizer.eos_token_id] *= 3
    together = generator.generate(PROMPTS, method, **settings)
    alone = [generator.generate(prompt, method, **settings).ids[0] for prompt in PROMPTS]
    assert together.ids == alone
    assert any(tokenizer.eos_token_id in ids for ids in alone)


@pytest.mark.parametrize(("method", "settings"), [("greedy", {}), ("beam", {"num_beams": 2})])
def test_the_first_of_several_end_tokens_ends_a_text(tokenizer, method, settings):
    model = small_gpt2(vocab_size=len(tokenizer), n_positions=48)
    generator = TextGenerator(model, tokenizer)
    free = generator.generate(PROMPTS, max_new_tokens=20).ids
    ends = [tokenizer.eos_token_id, free[0][5], free[1][9]]
    model.generation_config.eos_token_id = ends
    generation = generator.generate(PROMPTS, method, max_new_tokens=20, **settings)
    options = {"eos_token_id": ends, "do_sample": False} | settings
    expected, num_prompt = generate(model, tokenizer, **options)
    for row, ids in zip(expected[:, num_prompt:].tolist(), generation.ids, strict=True):
        assert ids == row[: len(ids)]
        assert not set(ids[:-1]) & set(ends)
    assert min(map(len, generation.ids)) < 20


def test_pieces_add_up_to_a_text_that_ends_inside_a_character(tokenizer):
    dog = tokenizer("犬")["input_ids"]

    class Barks(torch.nn.Module):
        """Writes the first bytes of a character."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def new_cache(self, mask, max_new_tokens):
            return iter([*tokenizer(" a cat")["input_ids"], *dog[:-1]])

        def step(self, ids, cache):
            return torch.nn.functional.one_hot(torch.tensor([next(cache)]), len(tokenizer)).float()

        states = logits = None

    assert len(dog) > 1
    pieces = []
    length = len(tokenizer(" a cat")["input_ids"]) + len(dog) - 1
    generation = TextGenerator(Barks(), tokenizer).generate(
        "the", max_new_tokens=length, on_token=lambda new: pieces.append(new[0])
    )
    assert generation.texts == ["".join(pieces)]
    assert generation.texts[0].startswith(" a cat")
    assert generation.texts[0] != " a cat"


def test_prompts_come_in_any_sequence(generator):
    expected = generator.generate(PROMPTS, max_new_tokens=5).ids
    for prompts in (tuple(PROMPTS), np.array(PROMPTS), pd.Series(PROMPTS, index=[7, 8, 9])):
        options = {"max_new_tokens": np.int64(5), "top_k": np.int64(1), "num_samples": np.int64(1)}
        assert generator.generate(prompts, "sample", **options).ids == expected


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        ([], r"^There is no prompt: give at least one\.$"),
        (["the", None], r"^None is no prompt: give a string\.$"),
        ("hi \ud83d", r"^The prompt 'hi \\ud83d' holds a lone surrogate, half of a character"),
    ],
)
def test_what_is_no_prompt_gets_one_sentence(generator, prompts, sentence):
    with pytest.raises(ValueError, match=sentence):
        generator.generate(prompts, max_new_tokens=5)

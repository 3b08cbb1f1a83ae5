"""The benchmarks of models, decoding and fine-tuning: what is timed computes the same.

On models of the right kind with few random weights, so that a run takes seconds.
"""

import copy
import math
from functools import partial

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from utils.assets.models import checkpoint
from utils.benchmarks import decoding, finetuning, models
from utils.models.llama import Llama, LlamaConfig

EXACT = ("ours", "ours, packed")


@pytest.fixture(scope="module", autouse=True)
def small():
    """Few texts and tokens in each case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "ENCODER", ((2, 4),))
        patch.setattr(models, "TRAINING", ((1, 4),))
        patch.setattr(models, "PROMPT", ((1, 4),))
        patch.setattr(models, "DECODING", ((1, 2), (2, 2)))
        patch.setattr(decoding, "NUM_NEW", 4)
        patch.setattr(decoding, "NUM_NEW_WITH_DRAFT", 6)
        patch.setattr(finetuning, "BATCH_SIZE", 2)
        patch.setattr(finetuning, "LENGTHS", (4, 8))
        yield patch


@pytest.fixture(scope="module", autouse=True)
def tiny(small, tmp_path_factory):
    """A language model of two narrow layers with the tokenizer of SmolLM2, instead of SmolLM2."""
    path, folder = checkpoint("causal_lm"), tmp_path_factory.mktemp("tiny")
    config = AutoConfig.from_pretrained(path)
    config.hidden_size, config.head_dim, config.intermediate_size = 64, 16, 128
    config.num_attention_heads, config.num_key_value_heads, config.num_hidden_layers = 4, 2, 2
    config.initializer_range = 0.3  # so that texts do not repeat one token
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(path).save_pretrained(folder)
    for module in (models, decoding):
        roles = {"causal_lm": str(folder), "encoder": checkpoint("encoder")}
        small.setattr(module, "checkpoint", lambda role, assets, roles=roles: roles[role])


def check(cases, expected):
    """Finite numbers for these cases, each with so many of these items in a call."""
    assert {name: (case.items, case.unit) for name, case in cases.items()} == expected
    for case in cases.values():
        assert len(case.timings) >= 2
        assert all(map(math.isfinite, case.frame().to_numpy().ravel()))


def test_models_are_timed_in_each_case():
    cases = models.run(rounds=2)
    tokens = {"encoder 2x4": 6, "training 1x4": 4, "prompt 1x4": 4}
    tokens |= {"decoding 1x2": 2, "decoding 2x2": 4}
    check(cases, {name: (count, "tokens") for name, count in tokens.items()})
    assert all(case.baseline.startswith("transformers") for case in cases.values())
    assert all("ours" in case.timings for case in cases.values())


def test_encoders_compute_the_same_and_are_trained_the_same():
    cases = models.encoder_cases("packaged")
    states = [run() for run in next(cases).candidates.values()]
    assert states[0].shape == (2, 4, 384)
    assert not states[0].requires_grad
    is_token = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    torch.testing.assert_close(states[0][is_token], states[1][is_token], atol=1e-5, rtol=0)
    for step in next(cases).candidates.values():
        losses = [step().item() for _ in range(4)]
        assert losses[-1] < losses[0]


@pytest.fixture(scope="module")
def decoder_outputs():
    """What the candidates of each case return."""
    return {
        case.name: {candidate: run() for candidate, run in case.candidates.items()}
        for case in models.decoder_cases("packaged")
    }


def test_prompts_give_the_same_logits(decoder_outputs):
    outputs = decoder_outputs["prompt 1x4"]
    expected = outputs.pop("transformers")
    assert expected.shape == (1, 49_152)
    for name, logits in outputs.items():
        is_close = torch.cosine_similarity(logits.float(), expected) > 0.99
        assert is_close if "bf16" in name else torch.allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("case", ["decoding 1x2", "decoding 2x2"])
def test_continuations_have_the_same_ids(decoder_outputs, case):
    outputs = decoder_outputs[case]
    expected = outputs["transformers generate"]
    assert expected.shape[1] == 4
    for name, ids in outputs.items():
        if name in EXACT:
            assert torch.equal(ids, expected)
        elif name.startswith("ours"):
            assert ids.shape == expected.shape


def test_the_floor_runs_every_linear_layer_once_per_step():
    model = Llama(LlamaConfig(vocab_size=7, hidden_size=6, intermediate_size=5, num_layers=1))
    seen = []
    for module in (model.layers[0].feed_forward.down, model.output):
        module.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    models.linears_alone(model, batch_size=2, steps=2)()
    assert seen == 2 * [(2, 1, 5), (2, 1, 6)]


def test_decoding_is_timed_in_each_case():
    cases = decoding.run(rounds=2)
    reads = {name: 5 for name in cases if name.startswith("read 5 tokens, ours")}
    assert "read 5 tokens, ours" in reads
    drafts = {f"{how}, {text}": 6 for how in ("greedy", "sample") for text in decoding.TEXTS}
    counts = {"greedy": 4, "5 beams": 4, "15 samples": 60, **drafts, **reads}
    check(cases, {name: (count, "tokens") for name, count in counts.items()})


@pytest.fixture(scope="module")
def loaded():
    """The library's model, ours, and the prompts."""
    library, texts = decoding.load("packaged")
    return library, models.llamas(library), texts


def test_strategies_write_what_generate_writes(loaded):
    library, ours, texts = loaded
    length = texts["open-ended"]["input_ids"].shape[1]
    cases = decoding.strategies(library, ours, texts["open-ended"])
    written = {name: {k: run() for k, run in candidates.items()} for name, candidates, _ in cases}
    for name in ("greedy", "5 beams"):
        expected = written[name]["transformers generate"]
        assert expected.shape == (1, length + 4)
        assert all(torch.equal(written[name][each], expected) for each in EXACT)
    for ids in written["15 samples"].values():
        assert ids.shape == (15, length + 4)
        assert len(ids.unique(dim=0)) > 1


def test_a_draft_changes_no_greedy_text_and_no_number_of_tokens(loaded):
    _, ours, texts = loaded
    for name, candidates, num_tokens in decoding.drafts(ours["ours"], texts):
        step, draft = (run() for run in candidates.values())
        assert step.shape == draft.shape
        assert num_tokens == 6
        assert torch.equal(step, draft) or name.startswith("sample")


def test_five_calls_and_one_read_the_same(loaded):
    library, ours, texts = loaded
    batch = texts["open-ended"]
    name, candidates, num_tokens = next(decoding.reading(ours, batch))
    assert (name, num_tokens) == ("read 5 tokens, ours", 5)
    twice = torch.cat((batch["input_ids"], batch["input_ids"][:, :5]), dim=1)
    with torch.no_grad():
        expected = library(twice).logits[:, -1]
    for run in (*candidates.values(), *candidates.values()):
        torch.testing.assert_close(run(), expected, atol=1e-3, rtol=0)


def test_fine_tuning_is_timed_at_each_length():
    cases = finetuning.run(rounds=2)
    check(cases, dict.fromkeys(("4 tokens", "8 tokens"), (2, "samples")))
    assert all(list(case.timings) == ["fp32", "bf16"] for case in cases.values())


@pytest.mark.parametrize(("bf16", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_a_step_runs_in_its_type_and_updates_every_weight_that_has_a_gradient(bf16, dtype):
    torch.manual_seed(0)
    sizes = {"vocab_size": 9, "hidden_size": 16, "intermediate_size": 32}
    config = BertConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, num_labels=4)
    model = BertForSequenceClassification(config)
    dtypes = []
    model.classifier.register_forward_hook(lambda *call: dtypes.append(call[-1].dtype))
    before = copy.deepcopy(model.state_dict())
    batch = {"input_ids": torch.tensor([[1, 2, 3]]), "labels": torch.tensor([3])}
    step = models.training_step(model, partial(finetuning.loss, model, batch, bf16=bf16))
    loss = step()
    assert loss.item() == pytest.approx(math.log(4), rel=0.1)  # untrained: four classes alike
    after = model.state_dict()
    for name in ("classifier.weight", "bert.encoder.layer.0.attention.self.value.weight"):
        assert not torch.equal(before[name], after[name])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert dtypes == [dtype]

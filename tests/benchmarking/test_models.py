"""The benchmark of models from scratch: what is timed computes the same."""

import math

import pytest
import torch

from utils.benchmarks import models
from utils.benchmarks.models import Shapes
from utils.models.llama import Llama, LlamaConfig

TINY = Shapes(encoder=((2, 4),), training=((1, 4),), prompt=((1, 4),), decoding=((1, 2), (2, 2)))


def test_a_run_gives_finite_numbers_for_each_case():
    cases = models.run(rounds=1, shapes=TINY)
    items = {name: (comparison.items, comparison.unit) for name, comparison in cases.items()}
    assert items == {
        "encoder 2x4": (6, "tokens"),
        "training 1x4": (4, "tokens"),
        "prompt 1x4": (4, "tokens"),
        "decoding 1x2": (2, "tokens"),
        "decoding 2x2": (4, "tokens"),
    }
    for comparison in cases.values():
        assert comparison.baseline.startswith("transformers")
        assert "ours" in comparison.timings
        assert all(map(math.isfinite, comparison.frame().to_numpy().ravel()))


@pytest.fixture(scope="module")
def decoder_outputs():
    """What the candidates of each case return."""
    cases = models.decoder_cases(TINY, "packaged", torch.device("cpu"))
    return {
        case.name: {candidate: run() for candidate, run in case.candidates.items()}
        for case in cases
    }


def test_encoders_compute_the_same_and_are_trained_the_same():
    cases = models.encoder_cases(TINY, "packaged", torch.device("cpu"))
    states = [run() for run in next(cases).candidates.values()]
    assert states[0].shape == (2, 4, 384)
    assert not states[0].requires_grad
    is_token = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    torch.testing.assert_close(states[0][is_token], states[1][is_token], atol=1e-5, rtol=0)
    for step in next(cases).candidates.values():
        losses = [step().item() for _ in range(4)]
        assert losses[-1] < losses[0]


def test_prompts_give_the_same_logits(decoder_outputs):
    outputs = decoder_outputs["prompt 1x4"]
    expected = outputs.pop("transformers")
    assert expected.shape == (1, 49_152)
    for name, logits in outputs.items():
        is_close = torch.cosine_similarity(logits.float(), expected) > 0.999
        assert is_close if "bf16" in name else torch.allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("case", ["decoding 1x2", "decoding 2x2"])
def test_continuations_have_the_same_ids(decoder_outputs, case):
    outputs = decoder_outputs[case]
    expected = outputs["transformers generate"]
    assert expected.shape[1] == 4
    for name, ids in outputs.items():
        if name in ("ours", "ours, packed"):
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

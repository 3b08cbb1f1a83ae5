"""Packed linear layers against the layers that they were made from."""

import copy

import pytest
import torch

from utils.models.llama import Llama, LlamaConfig
from utils.models.packing import PackedLinear, pack_linears


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 24), (3, 1, 24), (2, 5, 24)])
def test_outputs_equal_those_of_the_layer(bias, shape):
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 50, bias=bias)
    inputs = torch.randn(shape)
    torch.testing.assert_close(PackedLinear(linear)(inputs), linear(inputs), atol=1e-5, rtol=0)


def test_a_model_keeps_its_outputs_and_its_embedding():
    torch.manual_seed(0)
    model = Llama(LlamaConfig(vocab_size=60, hidden_size=96, num_layers=2, max_positions=20)).eval()
    packed = pack_linears(copy.deepcopy(model))
    assert not any(isinstance(module, torch.nn.Linear) for module in packed.modules())
    assert torch.equal(packed.embedding.weight, model.embedding.weight)
    ids = torch.randint(60, (2, 9))
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        torch.testing.assert_close(packed(ids), model(ids), atol=1e-5, rtol=0)
        caches = [each.new_cache(mask, max_new_tokens=1) for each in (packed, model)]
        torch.testing.assert_close(
            packed.step(ids, caches[0]), model.step(ids, caches[1]), atol=1e-5, rtol=0
        )


def test_models_elsewhere_are_refused():
    with pytest.raises(ValueError, match=r"^Packed layers run on the CPU: move the model there"):
        pack_linears(torch.nn.Linear(2, 2, device="meta"))

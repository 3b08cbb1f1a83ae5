"""The benchmark of fine-tuning steps."""

import copy
import math

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from utils.assets.models import checkpoint
from utils.benchmarking import BenchmarkError
from utils.benchmarks import finetuning

ROWS = {"text": ["Who was Galileo?", "word " * 100], "label": [3, 0]}


@pytest.fixture(scope="module")
def batch():
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("encoder"))
    return finetuning.encode(tokenizer, ROWS, length=12)


@pytest.fixture
def model(batch):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=int(batch["input_ids"].max()) + 1,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=4,
    )
    return BertForSequenceClassification(config)


def test_a_run_gives_finite_numbers_for_each_length():
    cases = finetuning.run(rounds=1, batch_size=2, lengths=(4, 8))
    assert list(cases) == ["4 tokens", "8 tokens"]
    for comparison in cases.values():
        assert list(comparison.timings) == ["fp32", "bf16"]
        assert comparison.baseline == "fp32"
        assert (comparison.items, comparison.unit, comparison.threads) == (2, "samples", 1)
        assert all(map(math.isfinite, comparison.frame().to_numpy().ravel()))


def test_texts_are_cut_or_padded_to_the_length(batch):
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 12)
    assert batch["attention_mask"].sum(dim=1).tolist() == [6, 12]  # [CLS] who was galileo ? [SEP]
    assert batch["labels"].tolist() == [3, 0]


@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_updates_every_weight_that_has_a_gradient(model, batch, bf16):
    before = copy.deepcopy(model.state_dict())
    loss = finetuning.training_step(model, batch, bf16=bf16)()
    assert loss.item() == pytest.approx(math.log(4), rel=0.1)  # untrained: four classes alike
    after = model.state_dict()
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    attention = "bert.encoder.layer.0.attention.self.value.weight"
    assert not torch.equal(before[attention], after[attention])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bf16_steps_really_run_in_bfloat16(model, batch):
    dtypes = []
    model.classifier.register_forward_hook(lambda *call: dtypes.append(call[-1].dtype))
    for bf16 in (False, True):
        finetuning.training_step(model, batch, bf16=bf16)()
    assert dtypes == [torch.float32, torch.bfloat16]


def test_a_device_without_bfloat16_gets_one_sentence():
    finetuning.check_bf16(torch.device("cpu"))
    with pytest.raises(BenchmarkError, match=r'^"meta" has no bfloat16: set CUDA_VISIBLE_DEVICES'):
        finetuning.check_bf16(torch.device("meta"))

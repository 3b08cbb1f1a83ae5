"""Models without some neurons against the whole model with these held at zero."""

import copy

import pytest
import torch
import transformers

from utils.compression import neuron_importance, prune_neurons

NUM_LAYERS, NUM_NEURONS, NUM_LABELS = 3, 40, 5
PATHS = {  # of the layers, and in each what takes the neurons' outputs
    "bert": ("bert.encoder.layer", "output.dense"),
    "distilbert": ("distilbert.transformer.layer", "ffn.lin2"),
}


def small_classifier(family="bert"):
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "num_labels": NUM_LABELS, "initializer_range": 0.3}
    if family == "distilbert":
        names = {"dim": 24, "n_layers": NUM_LAYERS, "n_heads": 4, "hidden_dim": NUM_NEURONS}
        config = transformers.DistilBertConfig(**sizes, **names)
    else:
        names = {"hidden_size": 24, "num_hidden_layers": NUM_LAYERS, "num_attention_heads": 4}
        config = transformers.BertConfig(**sizes, **names, intermediate_size=NUM_NEURONS)
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def small_batch(num_texts=4, length=9):
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(num_texts, length, dtype=torch.long)
    mask[0, length // 2 :] = 0
    return {
        "input_ids": torch.randint(5, 50, (num_texts, length), generator=generator),
        "attention_mask": mask,
        "labels": torch.randint(NUM_LABELS, (num_texts,), generator=generator),
    }


def gate(model, family, gates):
    """Multiply the neurons of layer i by gates[i]."""
    layers, path = PATHS[family]
    for layer, factors in zip(model.get_submodule(layers), gates, strict=True):
        linear = layer.get_submodule(path)
        linear.register_forward_pre_hook(lambda _, args, factors=factors: (args[0] * factors,))


@pytest.fixture
def importance():
    return torch.rand(NUM_LAYERS, NUM_NEURONS, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def logits_of(model, batch):
    return model(**batch).logits


@pytest.mark.parametrize("family", PATHS)
@pytest.mark.parametrize(("fraction", "num_removed"), [(0.3, 12), (0.975, 39)])
def test_without_neurons_as_with_neurons_at_zero(family, fraction, num_removed, importance):
    model, batch = small_classifier(family), small_batch()
    before, whole = logits_of(model, batch), model.num_parameters()
    pruned = prune_neurons(model, importance, fraction)
    gates = torch.ones_like(importance)
    gates.scatter_(1, importance.argsort(dim=1)[:, :num_removed], 0.0)
    gate(model, family, gates)
    torch.testing.assert_close(logits_of(pruned, batch), logits_of(model, batch), atol=1e-5, rtol=0)
    assert (logits_of(pruned, batch) - before).abs().max() > 1e-3
    # a row of 24 inputs and a bias, and a column of 24 outputs, for each neuron
    assert whole - pruned.num_parameters() == NUM_LAYERS * num_removed * (24 + 1 + 24)
    assert model.num_parameters() == whole


def test_a_pruned_model_can_be_trained(importance):
    pruned, batch = prune_neurons(small_classifier(), importance, 0.5), small_batch()
    optimizer = torch.optim.AdamW(pruned.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        losses.append(pruned(**batch).loss)
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("family", PATHS)
def test_without_neurons_the_library_reads_it_itself(tmp_path, family, importance):
    batch = small_batch()
    pruned = prune_neurons(small_classifier(family), importance, 0.5)
    pruned.save_pretrained(tmp_path)
    back = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(logits_of(back, batch), logits_of(pruned, batch))


def test_importance_is_the_gradient_of_a_gate():
    """Text by text, with one gate per neuron at 1; two batches of other sizes are as one."""
    model, batch = small_classifier(), small_batch(5)
    expected = torch.zeros(NUM_LAYERS, NUM_NEURONS)
    for i in range(5):
        gates = torch.ones(NUM_LAYERS, NUM_NEURONS, requires_grad=True)
        gated = copy.deepcopy(model)
        gate(gated, "bert", gates)
        gated(**{name: values[i : i + 1] for name, values in batch.items()}).loss.backward()
        expected += gates.grad.abs() / 5
    halves = [
        {name: values[part] for name, values in batch.items()} for part in (slice(2), slice(2, 5))
    ]
    torch.testing.assert_close(neuron_importance(model, halves), expected, atol=1e-5, rtol=1e-4)


def test_measuring_importance_leaves_nothing_behind():
    model, batch = small_classifier().train(), small_batch()
    first, second = (neuron_importance(model, [batch]) for _ in range(2))
    assert torch.equal(first, second)  # dropout is off
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("fraction", [1.0, -0.3])
def test_fractions_out_of_range_are_refused(fraction, importance):
    with pytest.raises(ValueError, match=f"^Without {fraction:.0%} of 40.*at least one in each"):
        prune_neurons(small_classifier(), importance, fraction)


def test_an_unknown_family_is_refused():
    config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)
    with pytest.raises(ValueError, match=r"^'gpt2' models cannot be pruned: take bert or distil"):
        prune_neurons(transformers.GPT2Model(config), torch.ones(1, 2), 0.5)

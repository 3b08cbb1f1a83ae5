"""Models without some heads and neurons against the whole model with these held at zero."""

import copy

import pytest
import torch
import transformers

from utils.compression.structure import (
    head_importance,
    load_pruned,
    neuron_importance,
    prune_heads,
    prune_neurons,
)

NUM_LAYERS, NUM_HEADS, HEAD_DIM, NUM_NEURONS, NUM_LABELS = 3, 4, 6, 40, 5
PATHS = {  # of the layers, and in each what takes the heads' and the neurons' outputs
    "bert": ("bert.encoder.layer", "attention.output.dense", "output.dense"),
    "roberta": ("roberta.encoder.layer", "attention.output.dense", "output.dense"),
    "distilbert": ("distilbert.transformer.layer", "attention.out_lin", "ffn.lin2"),
}


def small_classifier(family="bert", attention="sdpa"):
    torch.manual_seed(0)
    width = NUM_HEADS * HEAD_DIM
    sizes = {"vocab_size": 50, "num_labels": NUM_LABELS, "initializer_range": 0.3}
    if family == "distilbert":
        names = {"dim": width, "n_layers": NUM_LAYERS, "n_heads": NUM_HEADS}
        config = transformers.DistilBertConfig(**sizes, **names, hidden_dim=NUM_NEURONS)
    else:
        names = {"hidden_size": width, "num_hidden_layers": NUM_LAYERS}
        widths = {"num_attention_heads": NUM_HEADS, "intermediate_size": NUM_NEURONS}
        config_class = getattr(
            transformers, {"bert": "Bert", "roberta": "Roberta"}[family] + "Config"
        )
        config = config_class(**sizes, **names, **widths)
    config._attn_implementation = attention
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def small_batch(num_texts=4, length=9, seed=1):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(num_texts, length, dtype=torch.long)
    mask[0, length // 2 :] = 0
    return {
        "input_ids": torch.randint(5, 50, (num_texts, length), generator=generator),
        "attention_mask": mask,
        "labels": torch.randint(NUM_LABELS, (num_texts,), generator=generator),
    }


def gate(model, family, path, gates):
    """Multiply what enters the linear layer at `path` of layer i by gates[i]."""
    layers = model.get_submodule(PATHS[family][0])
    for layer, factors in zip(layers, gates, strict=True):
        linear = layer.get_submodule(path)
        linear.register_forward_pre_hook(lambda _, args, factors=factors: (args[0] * factors,))


def importance_of(num_units, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(NUM_LAYERS, num_units, generator=generator)


def gates_of(importance, num_removed):
    """0 for the least important units of each layer, found by sorting; 1 for the others."""
    gates = torch.ones_like(importance)
    return gates.scatter_(1, importance.argsort(dim=1)[:, :num_removed], 0.0)


@torch.no_grad()
def logits_of(model, batch):
    return model(**batch).logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", PATHS)
@pytest.mark.parametrize(("fraction", "num_removed"), [(0.0, 0), (0.25, 1), (0.75, 3)])
def test_without_heads_as_with_heads_at_zero(family, attention, fraction, num_removed):
    model, batch = small_classifier(family, attention), small_batch()
    importance = importance_of(NUM_HEADS)
    pruned = prune_heads(model, importance, fraction)
    gates = gates_of(importance, num_removed).repeat_interleave(HEAD_DIM, dim=1)
    before = logits_of(model, batch)
    gate(model, family, PATHS[family][1], gates)
    torch.testing.assert_close(logits_of(pruned, batch), logits_of(model, batch), atol=1e-5, rtol=0)
    changed = (logits_of(pruned, batch) - before).abs().max() > 1e-3
    assert changed == (num_removed > 0)


@pytest.mark.parametrize("family", PATHS)
@pytest.mark.parametrize(("fraction", "num_removed"), [(0.3, 12), (0.975, 39)])
def test_without_neurons_as_with_neurons_at_zero(family, fraction, num_removed):
    model, batch = small_classifier(family), small_batch()
    importance = importance_of(NUM_NEURONS)
    pruned = prune_neurons(model, importance, fraction)
    before = logits_of(model, batch)
    gate(model, family, PATHS[family][2], gates_of(importance, num_removed))
    torch.testing.assert_close(logits_of(pruned, batch), logits_of(model, batch), atol=1e-5, rtol=0)
    assert (logits_of(pruned, batch) - before).abs().max() > 1e-3


def test_matrices_are_smaller_and_the_model_itself_is_not():
    model = small_classifier()
    whole = model.num_parameters()
    pruned = prune_heads(model, importance_of(NUM_HEADS), 0.5)
    pruned = prune_neurons(pruned, importance_of(NUM_NEURONS), 0.5)
    layer = pruned.bert.encoder.layer[1]
    assert layer.attention.self.query.weight.shape == (12, 24)
    assert layer.attention.output.dense.weight.shape == (24, 12)
    assert layer.intermediate.dense.weight.shape == (20, 24)
    assert layer.output.dense.weight.shape == (24, 20)
    # per layer: three projections of (24 + 1) to 12 fewer, 12 fewer inputs; the same with 20
    assert whole - pruned.num_parameters() == 3 * (3 * 12 * 25 + 12 * 24 + 20 * 25 + 20 * 24)
    assert model.num_parameters() == whole


def test_a_pruned_model_can_be_trained():
    pruned = prune_heads(small_classifier(), importance_of(NUM_HEADS), 0.5)
    pruned = prune_neurons(pruned, importance_of(NUM_NEURONS), 0.5)
    batch = small_batch()
    optimizer = torch.optim.AdamW(pruned.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        losses.append(pruned(**batch).loss)
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("family", PATHS)
def test_a_pruned_model_comes_back_from_disk(tmp_path, family):
    model, batch = small_classifier(family), small_batch()
    pruned = prune_neurons(
        prune_heads(model, importance_of(NUM_HEADS), 0.5), importance_of(40), 0.2
    )
    pruned.save_pretrained(tmp_path)
    back = load_pruned(type(model), tmp_path)
    assert torch.equal(logits_of(back, batch), logits_of(pruned, batch))
    assert not back.training


@pytest.mark.parametrize("family", PATHS)
def test_without_neurons_the_library_reads_it_itself(tmp_path, family):
    model, batch = small_classifier(family), small_batch()
    pruned = prune_neurons(model, importance_of(NUM_NEURONS), 0.5)
    pruned.save_pretrained(tmp_path)
    back = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(logits_of(back, batch), logits_of(pruned, batch))


def gated_gradients(model, path, num_units, features, batch):
    """|dL / d gate| of each unit, text by text, with one gate per unit at 1: (L, U)."""
    totals = torch.zeros(NUM_LAYERS, num_units)
    for i in range(len(batch["labels"])):
        gates = torch.ones(NUM_LAYERS, num_units, requires_grad=True)
        gated = copy.deepcopy(model)
        gate(gated, "bert", path, gates.repeat_interleave(features, dim=1))
        gated(**{name: values[i : i + 1] for name, values in batch.items()}).loss.backward()
        totals += gates.grad.abs()
    return totals / len(batch["labels"])


def test_importance_is_the_gradient_of_a_gate():
    """Equation 2 of Michel et al.; two batches of other sizes are as one."""
    model, batch = small_classifier(), small_batch(5)
    halves = [
        {name: values[part] for name, values in batch.items()} for part in (slice(2), slice(2, 5))
    ]
    expected = gated_gradients(model, PATHS["bert"][1], NUM_HEADS, HEAD_DIM, batch)
    torch.testing.assert_close(head_importance(model, halves), expected, atol=1e-5, rtol=1e-4)
    expected = gated_gradients(model, PATHS["bert"][2], NUM_NEURONS, 1, batch)
    torch.testing.assert_close(neuron_importance(model, halves), expected, atol=1e-5, rtol=1e-4)


def test_measuring_importance_leaves_nothing_behind():
    model, batch = small_classifier().train(), small_batch()
    first, second = (head_importance(model, [batch]) for _ in range(2))
    assert torch.equal(first, second)  # dropout is off
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_head_that_nobody_listens_to_goes_first():
    model, batch = small_classifier(), small_batch()
    with torch.no_grad():
        for layer, head in zip(model.bert.encoder.layer, (2, 0, 3), strict=True):
            columns = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
            layer.attention.output.dense.weight[:, columns] = 0
    importance = head_importance(model, [batch])
    assert importance.argmin(dim=1).tolist() == [2, 0, 3]
    pruned = prune_heads(model, importance, 0.25)
    torch.testing.assert_close(logits_of(pruned, batch), logits_of(model, batch), atol=1e-5, rtol=0)


def test_pruning_again_needs_new_importance():
    model, batch = small_classifier(), small_batch()
    pruned = prune_heads(model, importance_of(NUM_HEADS), 0.5)
    with pytest.raises(ValueError, match=r"^importance has the shape \(3, 4\), the model \(3, 2\)"):
        prune_heads(pruned, importance_of(NUM_HEADS), 0.5)
    again = prune_heads(pruned, head_importance(pruned, [batch]), 0.5)
    assert again.bert.encoder.layer[0].attention.self.query.out_features == HEAD_DIM


@pytest.mark.parametrize(
    ("fraction", "message"), [(1.0, "Without 100% of 4"), (-0.3, "Without -30%")]
)
def test_fractions_out_of_range_get_one_sentence(fraction, message):
    with pytest.raises(ValueError, match=f"^{message}.*leaves at least one in each layer"):
        prune_heads(small_classifier(), importance_of(NUM_HEADS), fraction)


def test_an_unknown_family_gets_one_sentence():
    config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2)
    with pytest.raises(ValueError, match=r"^Models of the type 'gpt2' cannot be pruned here: take"):
        prune_heads(transformers.GPT2Model(config), torch.ones(1, 2), 0.5)


def test_importance_without_examples_gets_one_sentence():
    with pytest.raises(ValueError, match=r"^There are no batches: importance is measured on"):
        head_importance(small_classifier(), [])

"""Masks, schedules and scores against counting, formulas and torch itself; small transfers."""

import numpy as np
import pytest
import torch
from torch import nn

from utils.training.pruning import (
    CubicSchedule,
    MaskedLinear,
    ParallelLinear,
    ParallelMLP,
    for_pruning,
    run_accuracies,
    run_losses,
    set_sparsity,
    topk_mask,
    train_pruned,
)

METHODS = ["magnitude", "movement", "random"]
NUM_FEATURES, NUM_CLASSES = 20, 4


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def masked(method="movement", out_features=6, in_features=10, sparsity=0.5):
    torch.manual_seed(0)
    layer = MaskedLinear(nn.Linear(in_features, out_features), method)
    layer.set_sparsity(sparsity)
    return layer


def task(features, seed=0, num_examples=600):
    """States (N, D), classes (N,) decided by these four features, equally often each."""
    states = noise(num_examples, NUM_FEATURES, seed=seed)
    return states, states[:, features].argmax(dim=1)


@pytest.fixture(scope="module")
def source():
    """Three networks that have learned to look at features 0 to 3."""
    network = ParallelMLP((NUM_FEATURES, 32, 32, NUM_CLASSES), runs=3)
    train_pruned(network, *task(slice(0, 4)), num_steps=150)
    return network


@pytest.mark.parametrize("k", [0.0, 0.001, 0.1, 1 / 3, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("kind", ["random", "ties", "all alike"])
def test_a_mask_keeps_exactly_its_share_and_nothing_lower(k, kind):
    scores = {"random": noise(7, 13), "ties": noise(7, 13).round(), "all alike": torch.ones(7, 13)}[
        kind
    ]
    mask = topk_mask(scores, k)
    assert mask.sum() == round(k * 91)
    if mask.any() and not mask.all():
        assert scores[mask].min() >= scores[~mask].max()


def test_each_run_has_its_own_share():
    scores = noise(2, 3, 5, 8)
    shares = torch.tensor([[0.1, 0.5, 1.0], [0.0, 0.25, 0.9]])
    assert topk_mask(scores, shares).sum(dim=(-2, -1)).tolist() == [[4, 20, 40], [0, 10, 36]]
    assert torch.equal(topk_mask(scores, 0.3)[1, 2], topk_mask(scores[1, 2], 0.3))


@pytest.mark.parametrize("k", [-0.1, 1.5, float("nan")])
def test_shares_out_of_range_are_refused(k):
    with pytest.raises(ValueError, match=r"^k is .*: choose the share of weights to keep, from 0"):
        topk_mask(noise(2, 2), k)


# The schedule


def test_the_schedule_has_the_values_of_the_formula():
    schedule = CubicSchedule(final=0.9, steps=100)
    values = [float(schedule(t)) for t in (0, 10, 25, 50, 75, 100, 1000)]
    assert values == pytest.approx([0, 0.2439, 0.5203, 0.7875, 0.8859, 0.9, 0.9], abs=5e-5)


def test_sparsity_rises_only_when_masks_are_due():
    schedule = CubicSchedule(final=0.8, initial=0.2, start=7, steps=5, every=3)
    values = np.array([schedule(t) for t in range(30)])
    assert values[:8] == pytest.approx(0.2)
    assert (values[schedule.end :] == 0.8).all()
    rises = [t for t in range(1, 30) if values[t] != values[t - 1]]
    assert rises == [10, 13, 16, 19, 22]
    assert (np.diff(values) >= 0).all()
    assert [t for t in range(30) if schedule.is_due(t)] == [7, *rises]


def test_runs_may_end_at_sparsities_of_their_own():
    schedule = CubicSchedule(final=[0.5, 0.9], steps=10)
    assert schedule(5) == pytest.approx([CubicSchedule(s, steps=10)(5) for s in (0.5, 0.9)])


# A masked layer


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_are_out_have_no_effect(method):
    layer, states = masked(method), noise(4, 10)
    expected = nn.functional.linear(states, layer.weight * layer.kept, layer.bias)
    torch.testing.assert_close(layer(states), expected)
    with torch.no_grad():
        layer.weight[~layer.kept] += 100.0
    torch.testing.assert_close(layer(states), expected)


def test_before_it_is_pruned_a_layer_is_the_one_it_was_made_from():
    for linear in (nn.Linear(10, 6), nn.Linear(10, 6, bias=False)):
        states = noise(2, 3, 10)
        torch.testing.assert_close(MaskedLinear(linear, "movement")(states), linear(states))


def test_gradients_are_those_of_the_formulas():
    """dL/dW = dL/da M x and dL/dS = dL/da W x: also for weights that are out."""
    layer, states, upstream = masked("movement"), noise(4, 10), noise(4, 6, seed=1)
    (layer(states) * upstream).sum().backward()
    of_product = upstream.T @ states
    torch.testing.assert_close(layer.weight.grad, of_product * layer.kept)
    torch.testing.assert_close(layer.scores.grad, of_product * layer.weight.detach())
    assert (layer.scores.grad[~layer.kept] != 0).all()


def test_a_weight_that_moves_towards_zero_is_the_one_to_go():
    """Sanh et al. 2020, figure 1: magnitude keeps the large weight, movement the growing one."""
    linear = nn.Linear(2, 1, bias=False)
    linear.weight.data = torch.tensor([[1.0, 0.1]])
    kept = {}
    for method in ("magnitude", "movement"):
        layer = MaskedLinear(linear, method)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
        for _ in range(10):  # the loss wants the first weight smaller, the second one larger
            (layer(torch.tensor([[1.0, -1.0]]))).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        layer.set_sparsity(0.5)
        kept[method] = layer.kept.tolist()
    assert kept == {"magnitude": [[True, False]], "movement": [[False, True]]}


def test_weights_may_return():
    layer = masked("movement", sparsity=0.9)
    out = (~layer.kept).nonzero()[0]
    value = layer.weight[tuple(out)].item()
    layer.scores.data[tuple(out)] = 1.0
    layer.set_sparsity(0.9)
    assert layer.masked_weight()[tuple(out)].item() == value


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"^'l0' is no method: take magnitude or"):
        MaskedLinear(nn.Linear(2, 2), "l0")


# Runs side by side


def test_a_parallel_layer_is_one_linear_layer_for_each_run():
    layer = ParallelLinear(5, 3, 4, torch.Generator().manual_seed(0))
    states = noise(4, 7, 5)
    for run in range(4):
        expected = nn.functional.linear(states[run], layer.weight[run], layer.bias[run, 0])
        torch.testing.assert_close(layer(states)[run], expected)
        shared = nn.functional.linear(states[0], layer.weight[run], layer.bias[run, 0])
        torch.testing.assert_close(layer(states[0])[run], shared)


def test_losses_of_runs_are_those_of_the_library():
    logits, labels = noise(3, 8, 5), torch.arange(24).view(3, 8) % 5
    expected = [nn.functional.cross_entropy(logits[run], labels[run]) for run in range(3)]
    torch.testing.assert_close(run_losses(logits, labels), torch.stack(expected))


@pytest.mark.parametrize("method", METHODS)
def test_a_new_task_begins_with_the_trained_layers_and_a_new_head(source, method):
    network = for_pruning(source, 7, method, copies=2)
    states = noise(5, NUM_FEATURES)
    logits = network(states)
    assert logits.shape == (6, 5, 7)
    torch.testing.assert_close(logits[:3], logits[3:])
    assert (logits[0] - logits[1]).abs().max() > 0.1
    for ours, theirs in zip(network.hidden, source.hidden, strict=True):
        assert torch.equal(ours.weight[3:], theirs.weight)
        assert torch.equal(ours.bias[:3], theirs.bias)
        assert ours.weight is not theirs.weight


@pytest.mark.parametrize("method", METHODS)
def test_training_ends_at_the_sparsity_of_each_run(source, method):
    network = for_pruning(source, NUM_CLASSES, method, copies=2)
    schedule = CubicSchedule(np.repeat([0.5, 0.95], 3), start=10, steps=8, every=5)
    train_pruned(network, *task(slice(4, 8)), schedule, num_steps=60)
    zeros = [(layer.masked_weight() == 0).flatten(1) for layer in network.hidden]
    counted = torch.cat(zeros, dim=1).double().mean(dim=1).numpy()
    np.testing.assert_allclose(counted, np.repeat([0.5, 0.95], 3), atol=1e-3)


def test_runs_know_nothing_of_each_other(source):
    """The first three of six runs are the three runs alone, whatever the others do."""
    alone = for_pruning(source, NUM_CLASSES, "movement")
    beside = for_pruning(source, NUM_CLASSES, "movement", copies=2)
    states, labels = task(slice(4, 8), num_examples=1)  # batches are all alike
    options = {"start": 2, "steps": 5, "every": 2}
    train_pruned(alone, states, labels, CubicSchedule(0.8, **options), num_steps=20)
    final = np.repeat([0.8, 0.3], 3)
    train_pruned(beside, states, labels, CubicSchedule(final, **options), num_steps=20)
    for ours, theirs in zip(beside.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours[:3], theirs, atol=1e-5, rtol=1e-4)


def test_scores_add_up_gradient_times_weight(source):
    """S = -∑ dL/d(W ∘ M) · W over the steps of training, replayed with the weights of each step."""
    states, labels = task(slice(4, 8), num_examples=1)
    total, network = 0.0, for_pruning(source, NUM_CLASSES, "movement")
    for num_steps in range(4):
        replay = for_pruning(source, NUM_CLASSES, "movement")
        if num_steps:
            train_pruned(replay, states, labels, num_steps=num_steps, learning_rate=0.0)
        layer = replay.hidden[0]
        product = layer.masked_weight().detach().requires_grad_()
        layer.masked_weight = lambda product=product: product
        batch = (states.expand(3, 64, -1), labels.expand(3, 64))
        run_losses(replay(batch[0]), batch[1]).sum().backward()
        total = total - product.grad * layer.weight.detach()
    train_pruned(network, states, labels, num_steps=4, learning_rate=0.0)
    torch.testing.assert_close(network.hidden[0].scores.detach(), total)


def test_a_schedule_longer_than_training_gets_one_sentence(source):
    network = for_pruning(source, NUM_CLASSES, "magnitude")
    with pytest.raises(
        ValueError, match=r"^The schedule ends at step 100, training after 50: choose"
    ):
        train_pruned(network, *task(slice(4, 8)), CubicSchedule(0.5), num_steps=50)


def test_one_cut_after_training_costs_more_than_training_with_the_cuts(source):
    dense = for_pruning(source, NUM_CLASSES, "magnitude")
    train_pruned(dense, *task(slice(4, 8)), num_steps=200)
    test = task(slice(4, 8), seed=1)
    set_sparsity(dense, 0.95)
    cut = run_accuracies(dense, *test)
    gradual = for_pruning(source, NUM_CLASSES, "magnitude")
    schedule = CubicSchedule(0.95, start=20, steps=40, every=3)
    train_pruned(gradual, *task(slice(4, 8)), schedule, num_steps=200)
    assert (run_accuracies(gradual, *test) > cut + 0.1).all()

"""Unstructured pruning: single weights are set to zero, by a score that each of them has.

    source = ParallelMLP((384, 128, 128, 6), runs=3)
    train_pruned(source, states, coarse_labels)
    network = for_pruning(source, num_labels=50, method="movement")
    schedule = CubicSchedule(final=0.9, start=40, steps=60, every=4)
    train_pruned(network, states, fine_labels, schedule)

Weights and scores are (..., out, in): what stands before the last two dimensions are runs, such as
seeds or sparsities, that are trained side by side and know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

Method = Literal["magnitude", "movement", "random"]
BATCH_SIZE = 64  # examples of each run in a training step


def topk_mask(scores: Tensor, k: ArrayLike) -> Tensor:
    """True at the highest scores of each matrix, at exactly round(k · out · in) of them.

    Of equal scores at the border, some are in and some are out.

    Args:
        scores: (..., out, in).
        k: share to keep, in [0, 1]: one for all matrices, or (...) one for each.
    """
    shares = torch.as_tensor(k, dtype=torch.float64)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"k is {k}: choose the share of weights to keep, from 0 to 1.")
    matrices = scores.detach().reshape(-1, scores.shape[-2] * scores.shape[-1])
    counts = (shares * matrices.shape[1]).round().long().expand(scores.shape[:-2]).flatten()
    mask = torch.zeros_like(matrices, dtype=torch.bool)
    for row, values, count in zip(mask, matrices, counts.tolist(), strict=True):
        row[values.topk(count, sorted=False).indices] = True
    return mask.view_as(scores)


@dataclass(frozen=True)
class CubicSchedule:
    """Sparsity that rises fast at first, while much is redundant, then ever slower.

    s(t) = final + (initial - final) (1 - (t - start) / (steps · every))³, until it is `final`
    (Zhu & Gupta 2017, equation 1).

    Attributes:
        final: sparsity at the end, in [0, 1]; an array has one for each run.
        initial: sparsity up to `start`.
        start: t₀, the training step from which on the sparsity rises.
        steps: n, how many times it rises.
        every: Δt, training steps from one mask to the next.
    """

    final: ArrayLike
    initial: float = 0.0
    start: int = 0
    steps: int = 100
    every: int = 1

    def __call__(self, t: int) -> np.ndarray:
        """Sparsity after the mask of training step t or the last one before it; as `final`."""
        num_rises = min(max(t - self.start, 0) // self.every, self.steps)
        final = np.asarray(self.final, dtype=float)
        return final + (self.initial - final) * (1 - num_rises / self.steps) ** 3

    @property
    def end(self) -> int:
        """The training step of the last mask."""
        return self.start + self.steps * self.every

    def is_due(self, t: int) -> bool:
        """Whether training step t begins with new masks."""
        return self.start <= t <= self.end and (t - self.start) % self.every == 0


class StraightThroughMask(torch.autograd.Function):
    """The mask of the top k forward; backward, its gradient goes to the scores of all weights.

    Top k itself has no gradient (Bengio et al. 2013; Sanh et al. 2020, section 3).
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, scores: Tensor, mask: Tensor) -> Tensor:
        """(..., out, in) scores and their bool mask -> the mask as floats."""
        return mask.to(scores.dtype)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad_output: Tensor
    ) -> tuple[Tensor, None]:
        """The gradient of the mask, unchanged, for the scores."""
        return grad_output, None


class ParallelLinear(nn.Module):
    """Linear layers side by side, one for each run.

    Weights and biases begin as in `nn.Linear`, uniform between ±1 / √in.
    """

    def __init__(
        self, in_features: int, out_features: int, runs: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        bound = in_features**-0.5
        weight = torch.empty(runs, out_features, in_features)
        bias = torch.empty(runs, 1, out_features)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-bound, bound, generator=generator))

    def forward(self, states: Tensor) -> Tensor:
        """(R, B, in), or (B, in) that all runs share -> (R, B, out)."""
        return apply_weight(self.weight, states) + self.bias


class MaskedLinear(nn.Module):
    """A linear layer of whose weights W only those with the highest scores S are used.

    a = (W ∘ M) x with M = Top_k(S). A weight that is out keeps its value and may return with the
    next mask. Scores by method:

    - magnitude: |W| (Han et al. 2015).
    - movement: parameters from zero on, with dL/dS = dL/da · W x, so that descent adds up
      -dL/d(W ∘ M) · W: high where a weight moves away from zero (Sanh et al. 2020, equation 3).
    - random: drawn once; what any choice must beat.

    Attributes:
        weight: (..., out, in), with zero gradient where a weight is out.
        scores: (..., out, in), or None for magnitude.
        kept: (..., out, in), bool, the mask; everything until `set_sparsity` says otherwise.

    Args:
        layer: its weight and bias are copied: an `nn.Linear`, or a `ParallelLinear` of runs.
        method: a name from the list above.
        seed: of random scores.

    Raises:
        ValueError: there is no such method.
    """

    def __init__(
        self, layer: nn.Linear | ParallelLinear, method: Method = "magnitude", *, seed: int = 0
    ) -> None:
        super().__init__()
        if method not in get_args(Method):
            raise ValueError(f"{method!r} is no method: take {' or '.join(get_args(Method))}.")
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        self.register_buffer("kept", torch.ones_like(self.weight, dtype=torch.bool))
        if method == "movement":
            self.scores = nn.Parameter(torch.zeros_like(self.weight))
        else:
            generator = torch.Generator().manual_seed(seed)
            random = torch.rand(self.weight.shape, generator=generator)
            self.register_buffer("scores", random if method == "random" else None)

    def set_sparsity(self, sparsity: ArrayLike) -> None:
        """Choose anew which weights are out: this share of each matrix, or (...) one for each."""
        scores = self.weight.abs() if self.scores is None else self.scores
        self.kept = topk_mask(scores, 1 - np.asarray(sparsity))

    def masked_weight(self) -> Tensor:
        """(..., out, in) weights with zeros where they are out."""
        if self.scores is None:
            return self.weight * self.kept
        return self.weight * StraightThroughMask.apply(self.scores, self.kept)

    def forward(self, states: Tensor) -> Tensor:
        """(..., B, in) -> (..., B, out)."""
        activations = apply_weight(self.masked_weight(), states)
        return activations if self.bias is None else activations + self.bias


class ParallelMLP(nn.Module):
    """R networks of one shape with ReLU between their layers, trained side by side.

    Attributes:
        hidden: all layers but the last one; these are what is pruned.
        head: the last layer.

    Args:
        sizes: features of the input, of each hidden layer, and of the output.
        runs: R, how many networks.
    """

    def __init__(self, sizes: Sequence[int], *, runs: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        layers = [ParallelLinear(*shape, runs, generator) for shape in pairwise(sizes)]
        *hidden, self.head = layers
        self.hidden = nn.ModuleList(hidden)

    @property
    def runs(self) -> int:
        """R, the number of networks."""
        return len(self.head.weight)

    def forward(self, states: Tensor) -> Tensor:
        """(R, B, D), or (B, D) that all runs share -> logits (R, B, N)."""
        for layer in self.hidden:
            states = layer(states).relu()
        return self.head(states)


def for_pruning(
    source: ParallelMLP, num_labels: int, method: Method, *, copies: int = 1
) -> ParallelMLP:
    """Trained hidden layers, ready to be pruned for another task, under a new head.

    The head stays dense, as in Sanh et al. 2020. Run r of copy c becomes run c · R + r.

    Args:
        source: R networks trained on one task; they are not changed.
        num_labels: classes of the other task.
        method: see `MaskedLinear`.
        copies: of all runs, with the same new heads, for instance one for each sparsity.
    """
    width = source.head.weight.shape[-1]
    network = ParallelMLP((width, num_labels), runs=source.runs)
    network.hidden.extend(
        MaskedLinear(layer, method, seed=i) for i, layer in enumerate(source.hidden)
    )
    for parameter in network.parameters():
        parameter.data = parameter.data.repeat(copies, 1, 1)
    for buffer in network.buffers():
        buffer.data = buffer.data.repeat(copies, 1, 1)
    return network


def train_pruned(
    network: ParallelMLP,
    states: Tensor,
    labels: Tensor,
    schedule: CubicSchedule | None = None,
    *,
    num_steps: int = 400,
    learning_rate: float = 1e-2,
) -> None:
    """Train all runs, in place, while the schedule thins out their masked layers.

    Weights take steps of Adam whose size falls to zero in a line. Scores take plain gradient steps,
    so that they are the sum in `MaskedLinear`; their learning rate is 1 and any other would do, as
    top k looks at their order alone. Runs draw their own batches.

    Args:
        network: with `MaskedLinear` layers if there is a schedule; see `for_pruning`.
        states: (N, D).
        labels: (N,), class ids.
        schedule: of the sparsity; without one, masks stay as they are.
        num_steps: batches of each run, more than `schedule.end`.
        learning_rate: of the weights, at first.
    """
    if schedule is not None and schedule.end >= num_steps:  # it would end less sparse than it says
        raise ValueError(
            f"The schedule ends at step {schedule.end}, training after {num_steps}: choose more "
            "training steps, or a shorter schedule."
        )
    generator = torch.Generator().manual_seed(0)
    optimizers = pruning_optimizers(network, learning_rate)
    decay = torch.optim.lr_scheduler.LinearLR(optimizers[0], 1.0, 0.0, total_iters=num_steps)
    for t in range(num_steps):
        if schedule is not None and (t == 0 or schedule.is_due(t)):
            set_sparsity(network, schedule(t))
        rows = torch.randint(len(states), (network.runs, BATCH_SIZE), generator=generator)
        run_losses(network(states[rows]), labels[rows]).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        decay.step()


def pruning_optimizers(network: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Adam for weights and biases; where scores are trained, plain descent for them."""
    parameters = dict(network.named_parameters())
    scores = [parameters.pop(name) for name in list(parameters) if name.endswith("scores")]
    adam = torch.optim.Adam(parameters.values(), lr=learning_rate, fused=True)
    return [adam, torch.optim.SGD(scores, lr=1.0)] if scores else [adam]


def run_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each run: logits (R, B, N) and labels (R, B) -> (R,)."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(dim=1)


@torch.no_grad()
def run_accuracies(network: ParallelMLP, states: Tensor, labels: Tensor) -> np.ndarray:
    """Accuracy of each run on the same examples: states (N, D) and labels (N,) -> (R,)."""
    return (network(states).argmax(dim=-1) == labels).float().mean(dim=-1).numpy()


def set_sparsity(network: nn.Module, sparsity: ArrayLike) -> None:
    """New masks for all `MaskedLinear` layers; see its `set_sparsity`."""
    for module in network.modules():
        if isinstance(module, MaskedLinear):
            module.set_sparsity(sparsity)


def apply_weight(weight: Tensor, states: Tensor) -> Tensor:
    """(..., out, in) and (..., B, in) -> (..., B, out), as W xᵀ, whose gradient lies as W does."""
    return (weight @ states.mT).mT

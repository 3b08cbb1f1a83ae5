"""The loss of distillation against its formula, and what softening does to probabilities."""

import math

import numpy as np
import pytest
import torch

from utils.training import (
    DistillationTrainingArguments,
    entropy,
    kd_loss,
    softened,
)

NUM_CLASSES = 151


@pytest.fixture
def logits():
    """Student's and teacher's, for six texts."""
    generator = torch.Generator().manual_seed(0)
    return [3 * torch.randn(6, NUM_CLASSES, generator=generator) for _ in range(2)]


def probabilities(logits, temperature):
    """The book's formula, in float64."""
    powers = np.exp(logits.double().numpy() / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1, 2.0, 7.5])
def test_kd_loss_is_the_formula(logits, temperature):
    student, teacher = logits
    p, q = probabilities(teacher, temperature), probabilities(student, temperature)
    expected = temperature**2 * (p * np.log(p / q)).sum(axis=1).mean()
    assert kd_loss(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_kd_loss_of_equal_logits_is_zero(logits):
    student, _ = logits
    assert kd_loss(student, student.clone(), 3.0).item() == pytest.approx(0, abs=1e-6)


def test_certain_teacher_gives_no_nan():
    teacher = torch.tensor([[1e4, 0.0, 0.0]])
    student = torch.zeros(1, 3)
    assert kd_loss(student, teacher, 1.0).item() == pytest.approx(math.log(3), rel=1e-6)


def test_no_gradient_reaches_the_teacher(logits):
    student, teacher = (each.requires_grad_() for each in logits)
    kd_loss(student, teacher, 2.0).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_entropy_grows_with_the_temperature_up_to_that_of_even_odds(logits):
    entropies = [entropy(softened(logits[0], t)).mean().item() for t in (0.5, 1, 2, 5, 20, 1e6)]
    assert entropies == sorted(entropies)
    assert entropies[-1] == pytest.approx(math.log(NUM_CLASSES), rel=1e-5)


def test_entropy_of_a_certain_answer_is_zero():
    assert entropy(torch.tensor([[0.0, 1.0, 0.0]])).tolist() == [0.0]


def test_integer_settings_become_floats():
    arguments = DistillationTrainingArguments(alpha=1, temperature=7)
    assert (type(arguments.alpha), type(arguments.temperature)) == (float, float)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -0.1}, "use a number from 0 to 1"),
        ({"alpha": float("nan")}, "use a number from 0 to 1"),
        ({"temperature": 0}, "use a number above 0"),
        ({"temperature": float("inf")}, "use a number above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DistillationTrainingArguments(**settings)


def test_losses_that_would_be_wrong_numbers_are_refused(logits):
    student, teacher = logits
    for temperature in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="use a number above 0"):
            kd_loss(student, teacher, temperature)
    with pytest.raises(ValueError, match=r"\(6, 151\).*\(6, 150\).*same classes"):
        kd_loss(student, teacher[:, :-1], 2.0)


def test_a_class_that_the_teacher_rules_out_costs_nothing_by_itself():
    """KL of (1/2, 1/2, 0) from (1/3, 1/3, 1/3) is log 3/2."""
    teacher = torch.tensor([[0.0, 0.0, -math.inf]])
    assert kd_loss(torch.zeros(1, 3), teacher, 1.0).item() == pytest.approx(math.log(1.5))

"""The loss of distillation against its formula, and what softening does to probabilities."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from utils.training import (
    DistillationTrainingArguments,
    distillation_loss,
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


@pytest.fixture
def labels():
    return torch.randint(NUM_CLASSES, (6,), generator=torch.Generator().manual_seed(1))


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


def test_alpha_weighs_labels_against_teacher(logits, labels):
    cross_entropy = F.cross_entropy(logits[0], labels)
    kd = kd_loss(*logits, 4.0)
    mixed = [distillation_loss(*logits, labels, alpha=a, temperature=4.0) for a in (1.0, 0.25, 0.0)]
    expected = [cross_entropy, 0.25 * cross_entropy + 0.75 * kd, kd]
    torch.testing.assert_close(torch.stack(mixed), torch.stack(expected))


def test_mean_over_all_elements_is_too_small_by_the_number_of_classes(logits):
    student, teacher = logits
    mean = F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="none").mean()
    torch.testing.assert_close(kd_loss(student, teacher, 1.0), NUM_CLASSES * mean)


def test_entropy_grows_with_the_temperature_up_to_that_of_even_odds(logits):
    entropies = [entropy(softened(logits[0], t)).mean().item() for t in (0.5, 1, 2, 5, 20, 1e6)]
    assert entropies == sorted(entropies)
    assert entropies[-1] == pytest.approx(math.log(NUM_CLASSES), rel=1e-5)


def test_entropy_of_a_certain_answer_is_zero():
    assert entropy(torch.tensor([[0.0, 1.0, 0.0]])).tolist() == [0.0]


def test_gradient_hardly_depends_on_a_high_temperature(logits):
    def gradient_norm(temperature):
        student = logits[0].clone().requires_grad_()
        kd_loss(student, logits[1], temperature).backward()
        return student.grad.norm().item()

    low, *high = (gradient_norm(temperature) for temperature in (1, 8, 16, 32, 64))
    assert max(high) < 1.2 * min(high)
    assert low > 1.5 * max(high)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_temperature_has_to_be_above_zero(logits, temperature):
    with pytest.raises(ValueError, match="use a number above 0"):
        kd_loss(*logits, temperature)
    with pytest.raises(ValueError, match="use a number above 0"):
        softened(logits[0], temperature)
    with pytest.raises(ValueError, match="use a number above 0"):
        DistillationTrainingArguments(temperature=temperature)


def test_classes_have_to_be_the_same(logits):
    with pytest.raises(ValueError, match=r"\(6, 151\).*\(6, 150\).*same classes"):
        kd_loss(logits[0], logits[1][:, :-1], 2.0)


def test_integer_settings_become_floats():
    arguments = DistillationTrainingArguments(alpha=1, temperature=7)
    assert (type(arguments.alpha), type(arguments.temperature)) == (float, float)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_has_to_be_a_weight(alpha):
    with pytest.raises(ValueError, match="use a number from 0 to 1"):
        DistillationTrainingArguments(alpha=alpha)

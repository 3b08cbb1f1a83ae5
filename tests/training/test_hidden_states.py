"""Students come close to their teacher's hidden states, and a copy of it has nothing to learn."""

import copy

import numpy as np
import pytest
import torch
import transformers
from tiny_task import encoded_texts, tiny_bert, tiny_tokenizer, tiny_trainer

from utils.training import (
    StateDistillationTrainer,
    StateDistillationTrainingArguments,
    add_teacher_logits,
    pretraining_losses,
)
from utils.training.hidden_states import cosine_loss, state_distance, uniform_layers

MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])


@pytest.fixture
def states():
    """Student's and teacher's, (2, 3, 4)."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 4, generator=generator) for _ in range(2)]


@pytest.fixture(scope="module")
def data():
    return {"train_dataset": encoded_texts(64), "eval_dataset": encoded_texts(32, seed=1)}


@pytest.fixture
def teacher():
    return tiny_bert(num_layers=4, seed=1)


def of_tokens(states):
    """The states (4, 4) of the four tokens under MASK."""
    return [np.concatenate([part[0].numpy(), part[1, :1].numpy()]) for part in states]


def test_distance_is_that_of_tokens(states):
    student, teacher = of_tokens(states)
    expected = ((student - teacher) ** 2).mean()
    assert state_distance(*states, MASK).item() == pytest.approx(expected, rel=1e-5)


def test_cosine_loss_is_that_of_tokens(states):
    student, teacher = of_tokens(states)
    norms = np.linalg.norm(student, axis=1) * np.linalg.norm(teacher, axis=1)
    expected = 1 - ((student * teacher).sum(axis=1) / norms).mean()
    assert cosine_loss(*states, MASK).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [state_distance, cosine_loss])
def test_padding_changes_no_loss(states, loss):
    student, teacher = states
    padded = teacher.masked_fill(MASK[..., None] == 0, 9.0)
    torch.testing.assert_close(loss(student, padded, MASK), loss(student, teacher, MASK))


def test_layers_follow_evenly():
    assert uniform_layers(3, 6) == {0: 0, 1: 2, 2: 4, 3: 6}
    assert uniform_layers(2, 2) == {0: 0, 1: 1, 2: 2}
    with pytest.raises(ValueError, match="4 layers cannot follow 6 evenly"):
        uniform_layers(4, 6)


def state_trainer(folder, teacher, data, *, settings=None, **options):
    return tiny_trainer(
        folder, StateDistillationTrainer, arguments=StateDistillationTrainingArguments,
        teacher_model=teacher, settings=settings, **data, **options,
    )  # fmt: skip


def test_a_copy_of_the_teacher_has_no_distance(tmp_path, data, teacher):
    kd_only = {"alpha": 0.0, "state_weight": 100.0}
    trainer = state_trainer(tmp_path, teacher, data, model=copy.deepcopy(teacher), settings=kd_only)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(0, abs=1e-5)


def test_the_weighted_distance_is_added(tmp_path, data, teacher):
    student = tiny_bert(num_layers=2)
    losses = [
        state_trainer(
            tmp_path, teacher, data, model=student, settings={"state_weight": weight}
        ).evaluate()["eval_loss"]
        for weight in (0, 1, 3.0)
    ]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)
    batch = tiny_tokenizer().pad(
        data["eval_dataset"].select_columns(["input_ids"])[:], return_tensors="pt"
    )
    with torch.no_grad():
        ours, theirs = (
            model(**batch, output_hidden_states=True).hidden_states for model in (student, teacher)
        )
    mask = batch["attention_mask"]
    pairs = [(0, 0), (1, 2), (2, 4)]
    expected = np.mean([state_distance(ours[i], theirs[j], mask).item() for i, j in pairs])
    assert losses[1] - losses[0] == pytest.approx(expected, rel=0.05)  # batches weigh alike


def test_states_come_from_the_live_teacher_beside_a_column_of_logits(tmp_path, data, teacher):
    columns = {
        name: add_teacher_logits(part, teacher, tiny_tokenizer()) for name, part in data.items()
    }
    losses = [
        state_trainer(tmp_path, teacher, each, model=tiny_bert()).evaluate()["eval_loss"]
        for each in (data, columns)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_metrics_get_logits_and_nothing_else(tmp_path, data, teacher):
    shapes = []
    trainer = state_trainer(
        tmp_path, teacher, data, model=tiny_bert(num_layers=2),
        compute_metrics=lambda prediction: shapes.append(prediction.predictions.shape) or {},
    )  # fmt: skip
    trainer.evaluate()
    assert shapes == [(32, 4)]


@pytest.fixture(scope="module")
def masked_batch():
    torch.manual_seed(0)
    collator = transformers.DataCollatorForLanguageModeling(tiny_tokenizer(), mlm_probability=0.3)
    return dict(collator([{"input_ids": ids} for ids in encoded_texts(24)["input_ids"]]))


def tiny_masked_lm(num_layers, seed):
    config = tiny_bert(num_layers).config
    torch.manual_seed(seed)
    return transformers.BertForMaskedLM(config).eval()


def test_a_copy_has_only_masked_words_to_learn(masked_batch):
    teacher = tiny_masked_lm(2, seed=0)
    losses = pretraining_losses(copy.deepcopy(teacher), teacher, masked_batch)
    assert losses.kd.item() == pytest.approx(0, abs=1e-6)
    assert losses.cosine.item() == pytest.approx(0, abs=1e-6)
    assert losses.masked_lm.item() == pytest.approx(teacher(**masked_batch).loss.item())

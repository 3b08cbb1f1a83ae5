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
    cosine_loss,
    drop_layers,
    pretraining_losses,
    state_distance,
    uniform_layers,
)

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


def test_cosine_loss_does_not_see_lengths(states):
    assert cosine_loss(states[0], 3 * states[0], MASK).item() == pytest.approx(0, abs=1e-6)


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
    losses = [
        state_trainer(
            tmp_path, teacher, data, model=tiny_bert(), settings={"state_weight": weight},
            layers={1: 4},
        ).evaluate()["eval_loss"]
        for weight in (0.0, 1.0, 3.0)
    ]  # fmt: skip
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)
    batch = tiny_tokenizer().pad(
        data["eval_dataset"].select_columns(["input_ids"])[:], return_tensors="pt"
    )
    student, taught = (
        model(**batch, output_hidden_states=True).hidden_states for model in (tiny_bert(), teacher)
    )
    expected = state_distance(student[1], taught[4], batch["attention_mask"]).item()
    assert losses[1] - losses[0] == pytest.approx(expected, rel=0.05)  # batches weigh alike


def test_the_weight_is_a_float_from_zero_up():
    assert type(StateDistillationTrainingArguments(state_weight=1).state_weight) is float
    with pytest.raises(ValueError, match="use 0 or more"):
        StateDistillationTrainingArguments(state_weight=-1.0)


@pytest.mark.parametrize("width", [16, 8])
def test_states_come_closer_also_over_a_learned_map(tmp_path, data, teacher, width):
    student = tiny_bert(num_layers=2, width=width)
    settings = {"state_weight": 10.0, "num_train_epochs": 8, "learning_rate": 1e-2}
    trainer = state_trainer(tmp_path, teacher, data, model=student, settings=settings)
    trainer.train()
    losses = [log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log]
    assert losses[-1] < 0.8 * losses[0]
    assert set(student.state_dict()) == set(tiny_bert(num_layers=2, width=width).state_dict())


def test_maps_are_learned_with_fresh_gradients_at_each_step(tmp_path, data, teacher):
    student = tiny_bert(num_layers=2, width=8)
    trainer = state_trainer(tmp_path, teacher, data, model=student)
    trainer.create_optimizer()
    before = [parameter.clone() for parameter in trainer.matching.parameters()]
    trainer.train()
    after = list(trainer.matching.parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(parameter.grad is None for parameter in after)


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


def test_each_term_of_pretraining_falls(masked_batch):
    teacher = tiny_masked_lm(2, seed=0)
    student = drop_layers(teacher, [1])
    torch.nn.init.normal_(student.bert.embeddings.position_embeddings.weight)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    history = []
    for _ in range(30):
        losses = pretraining_losses(student, teacher, masked_batch)
        history.append([loss.item() for loss in losses])
        sum(losses).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (np.array(history[-1]) < np.array(history[0])).all()
    assert all(parameter.grad is None for parameter in teacher.parameters())

"""Students train on labels and teacher as the formula says, whichever way the teacher answers."""

import numpy as np
import pytest
import torch
import transformers
from tiny_task import LABELS, encoded_texts, tiny_bert, tiny_texts, tiny_tokenizer, tiny_trainer
from torch.nn.functional import cross_entropy as cross_entropy_of
from transformers import DataCollatorWithPadding, Trainer

from utils.training import (
    DistillationTrainer,
    add_teacher_logits,
    kd_loss,
    teacher_logits,
    trained_model,
)

SGD = {
    "optim": "sgd",
    "learning_rate": 0.1,
}  # Adam makes much of gradients that are zero but for rounding


@pytest.fixture(scope="module")
def data():
    """Training and evaluation texts."""
    return {"train_dataset": encoded_texts(64), "eval_dataset": encoded_texts(32, seed=1)}


@pytest.fixture
def teacher():
    return tiny_bert(num_layers=2, seed=1)


def with_logits(data, teacher):
    tokenizer = tiny_tokenizer()
    return {name: add_teacher_logits(part, teacher, tokenizer) for name, part in data.items()}


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def trained_weights(*args, **options):
    """Of a tiny trainer; the seed is set when it is made."""
    trainer = tiny_trainer(*args, **options)
    trainer.train()
    return weights(trainer.model)


def logits_of(model, data):
    """Of all texts in one batch."""
    return model(**DataCollatorWithPadding(tiny_tokenizer())(rows(data))).logits.detach()


def rows(data):
    return [dict(row) for row in data.select_columns(["input_ids", "attention_mask"])]


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_evaluated_loss_is_the_mixed_one(tmp_path, data, teacher, alpha):
    settings = {"alpha": alpha, "temperature": 3.0}
    trainer = tiny_trainer(tmp_path, teacher_model=teacher, settings=settings, **data)
    texts = data["eval_dataset"]
    student, taught = logits_of(trainer.model, texts), logits_of(teacher, texts)
    p, log_q = (taught / 3).softmax(-1), (student / 3).log_softmax(-1)
    divergence = (p * (p.log() - log_q)).sum(-1).mean()
    cross_entropy = cross_entropy_of(student, torch.tensor(texts["labels"]))
    expected = alpha * cross_entropy + (1 - alpha) * 3**2 * divergence
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_a_column_of_logits_trains_as_the_live_teacher_does(tmp_path, data, teacher):
    live = trained_weights(tmp_path, teacher_model=teacher, settings=SGD, **data)
    known = trained_weights(tmp_path, settings=SGD, **with_logits(data, teacher))
    torch.testing.assert_close(live, known, rtol=0, atol=1e-5)


def test_alpha_one_trains_as_the_library_does_and_needs_no_teacher(tmp_path, data):
    ours = trained_weights(tmp_path, settings={"alpha": 1.0}, **data)
    library = trained_weights(tmp_path, Trainer, **data)
    torch.testing.assert_close(ours, library, rtol=0, atol=1e-6)


def test_accumulated_batches_train_as_one_does(tmp_path, data, teacher):
    settings = SGD | {"train_sampling_strategy": "sequential"}
    split = settings | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    one, several = (
        trained_weights(
            tmp_path, model=tiny_bert(**no_dropout), teacher_model=teacher, settings=each, **data
        )
        for each in (settings, split)
    )
    torch.testing.assert_close(one, several, rtol=0, atol=1e-5)


def test_the_teacher_stays_as_it_is(tmp_path, data, teacher):
    before = weights(teacher).clone()
    trainer = tiny_trainer(tmp_path, teacher_model=teacher.train(), **data)
    trainer.train()
    assert torch.equal(weights(teacher), before)
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_student_learns_its_teachers_answers_where_labels_say_nothing(tmp_path, data, teacher):
    def distance(model):
        texts = data["eval_dataset"]
        return kd_loss(logits_of(model.eval(), texts), logits_of(teacher, texts), 2.0).item()

    same_label = data["train_dataset"].map(lambda row: {"labels": 0})
    settings = {"alpha": 0.0, "num_train_epochs": 10, "learning_rate": 1e-2}
    student = tiny_bert()
    before = distance(student)
    trainer = tiny_trainer(
        tmp_path, model=student, teacher_model=teacher, settings=settings,
        **data | {"train_dataset": same_label},
    )  # fmt: skip
    trainer.train()
    assert distance(student) < before / 3


def test_training_is_quiet(tmp_path, data, teacher, capfd):
    trainer = tiny_trainer(tmp_path, teacher_model=teacher, **data)
    capfd.readouterr()
    trainer.train()
    trainer.predict(data["eval_dataset"])
    assert capfd.readouterr() == ("", "")


def test_a_trained_model_serves_in_float32(tmp_path, data, teacher):
    trainer = tiny_trainer(tmp_path, settings={"bf16": True}, **with_logits(data, teacher))
    trainer.train()
    model = trained_model(trainer)
    reloaded = transformers.BertForSequenceClassification(model.config).eval()
    reloaded.load_state_dict(model.state_dict())
    inputs = tiny_tokenizer()(["turn the lamp"], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, reloaded(**inputs).logits)


def test_logits_come_in_the_order_of_the_texts(teacher):
    texts = list(tiny_texts(20)["text"])
    tokenizer = tiny_tokenizer()
    alone = [teacher(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    teacher.train().bert.eval()
    modes = [module.training for module in teacher.modules()]
    together = teacher_logits(teacher, tokenizer, tuple(texts), batch_size=np.int64(3))
    assert [module.training for module in teacher.modules()] == modes
    torch.testing.assert_close(together, torch.stack(alone).detach(), rtol=0, atol=1e-5)
    in_bf16 = teacher_logits(teacher, tokenizer, texts, bf16=True)
    torch.testing.assert_close(together, in_bf16, rtol=0, atol=0.1)
    assert not torch.equal(together, in_bf16)


def test_a_teacher_with_its_own_tokenizer_teaches_by_its_logits(tmp_path, data):
    words = dict.fromkeys(word for text in tiny_texts(64)["text"] for word in text.split())
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words), "more", "words"]
    ids = {token: place for place, token in enumerate(vocabulary)}
    tokenizer = transformers.BertTokenizer(vocab=ids, model_max_length=16)
    teacher = tiny_bert(seed=2)
    teacher.resize_token_embeddings(len(vocabulary))
    with pytest.raises(ValueError, match="by add_teacher_logits"):
        tiny_trainer(tmp_path, teacher_model=teacher, **data)
    logits = add_teacher_logits(data["train_dataset"], teacher, tokenizer)["teacher_logits"]
    text = data["train_dataset"]["text"][5]
    expected = teacher(**tokenizer(text, return_tensors="pt")).logits[0]
    assert logits[5] == pytest.approx(expected.tolist(), abs=1e-5)


def test_training_without_a_teacher_says_what_to_do(tmp_path, data):
    with pytest.raises(ValueError, match="pass teacher_model"):
        tiny_trainer(tmp_path, **data).train()


def test_labels_have_to_be_numbered_alike(tmp_path, data, teacher):
    teacher.config.id2label = dict(enumerate(reversed(LABELS)))
    with pytest.raises(ValueError, match="student_init"):
        tiny_trainer(tmp_path, DistillationTrainer, teacher_model=teacher, **data)


def test_a_text_beyond_the_teachers_positions_is_cut(teacher):
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 10**30  # as where a tokenizer's files name no limit
    limit = teacher.config.max_position_embeddings
    word = tiny_texts(1)["text"][0].split()[0]
    texts = [" ".join([word] * (limit - 2)), " ".join([word] * 2 * limit)]
    logits = teacher_logits(teacher, tokenizer, texts)
    torch.testing.assert_close(logits[0], logits[1])


def test_what_gives_no_logits_is_refused(teacher):
    tokenizer = tiny_tokenizer()
    for texts in ([], [None], ["hi \ud83d"]):
        with pytest.raises(ValueError, match=r"give|surrogate"):
            teacher_logits(teacher, tokenizer, texts)
    with pytest.raises(ValueError, match=r"^batch_size is -1: choose a whole number"):
        teacher_logits(teacher, tokenizer, ["hi"], batch_size=-1)
    torch.nn.init.constant_(teacher.classifier.weight, float("nan"))
    with pytest.raises(ValueError, match=r"^Some of the model's logits are NaN"):
        teacher_logits(teacher, tokenizer, ["hi"])

"""Students start from a checkpoint under a new head, or from some of their teacher's layers."""

import pytest
import torch
import transformers
from tiny_task import LABELS, VOCABULARY, tiny_bert

from utils.assets.models import checkpoint
from utils.training import drop_layers, student_init

IDS = torch.tensor([[2, 7, 15, 9, 3], [2, 16, 3, 0, 0]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
DEPTH = 4


def tiny_distilbert():
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(VOCABULARY), dim=16, n_layers=DEPTH, n_heads=2, hidden_dim=32,
        max_position_embeddings=16, initializer_range=0.3, num_labels=len(LABELS),
    )  # fmt: skip
    return transformers.DistilBertForSequenceClassification(config).eval()


@pytest.fixture(params=["bert", "distilbert"])
def teacher(request):
    return tiny_bert(num_layers=DEPTH) if request.param == "bert" else tiny_distilbert()


def logits(model):
    with torch.no_grad():
        return model(**BATCH).logits


def states(model):
    with torch.no_grad():
        return model(**BATCH, output_hidden_states=True).hidden_states


def stack(model):
    """The list of layers, by the families' own names."""
    body = model.base_model
    return body.transformer.layer if hasattr(body, "transformer") else body.encoder.layer


def test_all_layers_make_the_same_model(teacher):
    student = drop_layers(teacher, range(DEPTH))
    assert torch.equal(logits(student), logits(teacher))


def test_kept_layers_act_in_turn_and_dropped_ones_do_not(teacher):
    student = drop_layers(teacher, [0, 2])
    for layer in (1, 3):  # an identity in the teacher
        stack(teacher)[layer].register_forward_hook(lambda _, inputs, output: (
            (inputs[0], *output[1:]) if isinstance(output, tuple) else inputs[0]
        ))  # fmt: skip
    torch.testing.assert_close(logits(student), logits(teacher))


def test_the_first_layers_give_the_teachers_states(teacher):
    ours, taught = states(drop_layers(teacher, [0, 1])), states(teacher)
    assert len(ours) == 3
    torch.testing.assert_close(ours, taught[:3])


def test_the_teacher_keeps_its_layers_and_shares_no_weight(teacher):
    before = logits(teacher)
    student = drop_layers(teacher, [1, 3])
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert teacher.config.num_hidden_layers == DEPTH
    assert torch.equal(logits(teacher), before)


def test_a_student_is_saved_and_loaded(teacher, tmp_path):
    student = drop_layers(teacher, [0, 3])
    student.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.config.num_hidden_layers == 2
    assert torch.equal(logits(loaded.eval()), logits(student))


def test_a_model_with_two_stacks_is_refused():
    config = transformers.BartConfig(
        vocab_size=32, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_position_embeddings=16,
    )  # fmt: skip
    with pytest.raises(ValueError, match="has 2 stacks of layers"):
        drop_layers(transformers.BartForSequenceClassification(config), [0])


def test_a_student_starts_from_its_checkpoint_with_the_teachers_labels():
    folder = checkpoint("small_student")
    init = student_init(folder, tiny_bert())
    transformers.set_seed(1)
    student = init()
    assert list(student.config.id2label.values()) == LABELS
    assert student.config.label2id == {label: place for place, label in enumerate(LABELS)}
    body = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False)
    for name, weight in body.state_dict().items():
        assert torch.equal(weight, student.bert.state_dict()[name]), name


def test_a_new_head_is_no_news(tmp_path, capfd, caplog):
    tiny_bert().base_model.save_pretrained(tmp_path)
    init = student_init(tmp_path, tiny_bert())
    capfd.readouterr()
    init()
    assert "LOAD REPORT" not in capfd.readouterr().err + caplog.text
    assert transformers.logging.get_verbosity() == transformers.logging.WARNING


def test_each_student_is_new_and_the_seed_decides_its_head(tmp_path):
    tiny_bert().base_model.save_pretrained(tmp_path)
    init = student_init(tmp_path, tiny_bert())
    heads = []
    for seed in (1, 1, 2):
        transformers.set_seed(seed)
        student = init()
        heads.append(student.classifier.weight.detach().clone())
        with torch.no_grad():
            student.bert.embeddings.word_embeddings.weight.zero_()
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert init().bert.embeddings.word_embeddings.weight.any()

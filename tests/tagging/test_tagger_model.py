"""Our token classifier gives the library's logits and losses, loads any encoder and comes back."""

import pytest
import torch
import transformers

from utils.assets.models import checkpoint
from utils.tagging import EncoderForTokenClassification, TokenClassifierConfig

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
HEAD = {"classifier.weight", "classifier.bias"}
PAD = 1
IDS = torch.tensor([[0, 7, 15, 9, 23, 2], [0, 16, 8, 2, PAD, PAD]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != PAD).long()}
LABELS = torch.tensor([[-100, 1, -100, 2, 0, -100], [-100, 3, 0, -100, -100, -100]])


def tiny_config(family="BertConfig"):
    return getattr(transformers, family)(
        vocab_size=32, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=24, initializer_range=0.3, pad_token_id=PAD,
        id2label=dict(enumerate(TAGS)), label2id={tag: i for i, tag in enumerate(TAGS)},
    )  # fmt: skip


def tiny_distilbert_config():
    return transformers.DistilBertConfig(
        vocab_size=32, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=24,
        initializer_range=0.3, pad_token_id=PAD,
    )  # fmt: skip


def tiny_tagger(seed=0):
    torch.manual_seed(seed)
    return EncoderForTokenClassification(
        TokenClassifierConfig.from_tags(tiny_config(), TAGS)
    ).eval()


def same_weights(library):
    """Our model with the weights of the library's token classifier."""
    config = TokenClassifierConfig.from_tags(library.config, TAGS)
    ours = EncoderForTokenClassification(config).eval()
    ours.body.load_state_dict(library.base_model.state_dict())
    ours.classifier.load_state_dict(library.classifier.state_dict())
    return ours


@pytest.fixture(params=["Bert", "XLMRoberta"])
def library(request):
    torch.manual_seed(0)
    config = tiny_config(f"{request.param}Config")
    return getattr(transformers, f"{request.param}ForTokenClassification")(config).eval()


@pytest.fixture(params=["BertForMaskedLM", "XLMRobertaForMaskedLM", "BertModel", "DistilBertModel",
                        "DistilBertForMaskedLM"])  # fmt: skip
def pretrained(request, tmp_path):
    """A checkpoint's folder, and the body in it."""
    family = request.param.removesuffix("ForMaskedLM").removesuffix("Model")
    config = tiny_distilbert_config() if family == "DistilBert" else tiny_config(f"{family}Config")
    torch.manual_seed(0)
    model = getattr(transformers, request.param)(config)
    model.save_pretrained(tmp_path)
    return tmp_path, model.base_model


@torch.no_grad()
def test_logits_loss_states_and_attentions_are_the_librarys(library):
    ours = same_weights(library)
    options = BATCH | {"labels": LABELS, "output_hidden_states": True}
    expected, output = library(**options), ours(**options)
    assert output.logits.shape == (2, 6, len(TAGS))
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.loss, expected.loss, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.hidden_states, expected.hidden_states, atol=1e-5, rtol=0)
    for model in (library, ours):
        model.set_attn_implementation("eager")
    embedded = library.get_input_embeddings()(IDS)
    options = {"inputs_embeds": embedded, "output_attentions": True}
    expected, output = library(**options), ours(**options)
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(output.attentions, expected.attentions, atol=1e-5, rtol=0)


def test_gradients_are_the_librarys(library):
    ours = same_weights(library)
    for model in (library, ours):
        model(**BATCH, labels=LABELS).loss.backward()
    torch.testing.assert_close(ours.classifier.weight.grad, library.classifier.weight.grad)
    torch.testing.assert_close(
        ours.get_input_embeddings().weight.grad, library.get_input_embeddings().weight.grad
    )


def test_accumulated_steps_weigh_as_one(tmp_path):
    model = tiny_tagger()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    rows = [
        {name: ids[row] for name, ids in (BATCH | {"labels": LABELS}).items()} for row in (0, 1)
    ]
    arguments = transformers.TrainingArguments(
        tmp_path, per_device_train_batch_size=1, gradient_accumulation_steps=2, learning_rate=0.0,
        num_train_epochs=1, logging_steps=1, use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(model, arguments, train_dataset=rows)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    with torch.no_grad():
        losses = [model(**{name: ids[None] for name, ids in row.items()}).loss for row in rows]
    assert trainer.state.log_history[0]["loss"] == pytest.approx(sum(losses).item() / 2, abs=1e-4)


def test_a_pretrained_body_works_under_its_new_head_and_comes_back(pretrained, tmp_path):
    folder, body = pretrained
    model, info = EncoderForTokenClassification.from_encoder(folder, TAGS, output_loading_info=True)
    assert set(info["missing_keys"]) == HEAD
    loaded, saved = model.body.state_dict(), body.state_dict()
    assert set(saved) - set(loaded) <= {"pooler.dense.weight", "pooler.dense.bias"}
    for name, weight in loaded.items():
        assert torch.equal(weight, saved[name]), name
    assert list(model.config.id2label.values()) == TAGS
    assert [model.config.label2id[tag] for tag in TAGS] == list(range(len(TAGS)))
    with torch.no_grad():
        states = body.eval()(**BATCH).last_hidden_state
        expected = states @ model.classifier.weight.T + model.classifier.bias
        torch.testing.assert_close(model(**BATCH).logits, expected, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path / "tagger")
    again = EncoderForTokenClassification.from_pretrained(tmp_path / "tagger")
    assert torch.equal(again(**BATCH).logits, model(**BATCH).logits)


def test_a_left_over_head_is_named_and_nothing_is_printed(tmp_path, capfd, caplog):
    transformers.BertForMaskedLM(tiny_config()).save_pretrained(tmp_path)
    transformers.utils.logging.enable_progress_bar()
    capfd.readouterr()
    _, info = EncoderForTokenClassification.from_encoder(tmp_path, TAGS, output_loading_info=True)
    assert "cls.predictions.transform.dense.weight" in info["unexpected_keys"]
    captured = capfd.readouterr()
    assert captured.out + captured.err + caplog.text == ""
    assert transformers.logging.get_verbosity() == transformers.logging.WARNING
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_the_real_encoder_loads_completely():
    folder = checkpoint("multilingual")
    model, info = EncoderForTokenClassification.from_encoder(folder, TAGS, output_loading_info=True)
    assert set(info["missing_keys"]) == HEAD
    body = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False)
    assert body.state_dict().keys() == model.body.state_dict().keys()
    for name, weight in body.state_dict().items():
        assert torch.equal(weight, model.body.state_dict()[name]), name


def test_the_seed_decides_the_head_alone(tmp_path):
    transformers.BertModel(tiny_config()).save_pretrained(tmp_path)
    models = []
    for seed in (1, 1, 2):
        transformers.set_seed(seed)
        models.append(EncoderForTokenClassification.from_encoder(tmp_path, TAGS))
    first, again, other = (model.classifier.weight for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "load", [EncoderForTokenClassification, transformers.AutoModelForTokenClassification]
)
def test_a_saved_model_comes_back(load, tmp_path):
    model = tiny_tagger()
    model.save_pretrained(tmp_path)
    loaded, info = load.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is EncoderForTokenClassification
    assert not info["missing_keys"] | info["unexpected_keys"]
    assert loaded.config.id2label == dict(enumerate(TAGS))
    assert type(loaded.config.encoder) is type(model.config.encoder)
    assert torch.equal(loaded(**BATCH).logits, model(**BATCH).logits)


def test_dropout_is_the_encoders():
    encoder = tiny_config()
    encoder.hidden_dropout_prob = 0.4
    assert EncoderForTokenClassification(TokenClassifierConfig(encoder)).dropout.p == 0.4


def test_the_librarys_pipeline_takes_the_model():
    vocabulary = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "anna", "in", "bern"]
    tokenizer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)})
    model = tiny_tagger()
    found = transformers.pipeline(
        "token-classification", model=model, tokenizer=tokenizer, ignore_labels=[]
    )("Anna in Bern")
    with torch.no_grad():
        logits = model(**tokenizer("Anna in Bern", return_tensors="pt")).logits[0, 1:-1]
    assert [row["entity"] for row in found] == [TAGS[i] for i in logits.argmax(dim=-1)]


@pytest.mark.parametrize("tags", [[], ["O", "B-PER", "O"]])
def test_tags_have_to_be_a_set(tags, tmp_path):
    transformers.BertModel(tiny_config()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is no tag set: name at least one, each once"):
        EncoderForTokenClassification.from_encoder(tmp_path, tags)

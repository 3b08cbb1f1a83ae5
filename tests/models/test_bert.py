"""BERT against the library's, with the weights of all-MiniLM-L6-v2 and with random ones."""

import pytest
import torch
import transformers
from library_models import bert as library_bert
from torch.nn import functional as F

from utils.assets.models import checkpoint
from utils.models.bert import (
    Bert,
    BertConfig,
    MaskedLanguageModel,
    SpanClassifier,
    TokenClassifier,
)
from utils.models.cache import ContextLengthError

TEXTS = [
    ("Time flies like an arrow.", "Fruit flies like a banana."),
    ("The tower is 324 metres tall, about as tall as an 81-storey building.", "How tall is it?"),
    ("Yes.", "Why?"),
]
TINY = BertConfig(
    vocab_size=40, hidden_size=24, num_layers=2, num_heads=3, intermediate_size=32, max_positions=12
)


@pytest.fixture(scope="module")
def minilm():
    path = checkpoint("encoder")
    return transformers.AutoModel.from_pretrained(path, attn_implementation="eager").eval()


@pytest.fixture(scope="module")
def batch():
    """Pairs of texts of different lengths, so with token types and padding."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint("encoder"))
    batch = tokenizer([list(pair) for pair in TEXTS], padding=True, return_tensors="pt")
    assert not batch.attention_mask.all()
    assert batch.token_type_ids.any()
    return batch


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Bert(TINY).eval()


@pytest.fixture
def inputs():
    """(B, T) ids, mask and token types, the second text shorter."""
    torch.manual_seed(1)
    mask = torch.ones(3, 11, dtype=torch.long)
    mask[1, 6:] = 0
    return {
        "input_ids": torch.randint(40, (3, 11)),
        "attention_mask": mask,
        "token_type_ids": torch.randint(2, (3, 11)),
    }


def unpadded(inputs):
    """The second text alone."""
    return {name: inputs[name][1:2, :6] for name in ("input_ids", "token_type_ids")}


def assert_equal_at_tokens(actual, expected, inputs, tolerance):
    is_token = inputs["attention_mask"].bool()
    torch.testing.assert_close(actual[is_token], expected[is_token], atol=tolerance, rtol=0)


@torch.no_grad()
def test_hidden_states_of_the_real_encoder_equal_the_librarys(minilm, batch):
    expected = minilm(**batch, output_hidden_states=True).hidden_states
    hidden_states = Bert.from_library(minilm).hidden_states(**batch)
    assert len(hidden_states) == len(expected) == 7
    for ours, theirs in zip(hidden_states, expected, strict=True):
        assert_equal_at_tokens(ours, theirs, batch, tolerance=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {"num_attention_heads": 1, "num_hidden_layers": 1},
        {"hidden_size": 48, "num_attention_heads": 12, "type_vocab_size": 3},
        {"layer_norm_eps": 0.1, "add_pooling_layer": False},
    ],
)
def test_random_weights_of_other_sizes_equal_the_librarys(options, inputs):
    pooling = {"add_pooling_layer": options.pop("add_pooling_layer", True)}
    library = library_bert(lambda config: transformers.BertModel(config, **pooling), **options)
    expected = library(**inputs).last_hidden_state
    assert_equal_at_tokens(Bert.from_library(library)(**inputs), expected, inputs, tolerance=1e-5)


@torch.no_grad()
def test_the_body_is_taken_out_of_a_model_with_a_head(inputs):
    library = library_bert(transformers.BertForMaskedLM)
    expected = library.bert(**inputs).last_hidden_state
    assert_equal_at_tokens(Bert.from_library(library)(**inputs), expected, inputs, tolerance=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("head", "architecture", "num_outputs"),
    [
        (TokenClassifier, transformers.BertForTokenClassification, 7),
        (MaskedLanguageModel, transformers.BertForMaskedLM, 90),
    ],
)
def test_heads_on_each_token_equal_the_librarys(head, architecture, num_outputs, inputs):
    library = library_bert(architecture, num_labels=7)
    logits = head.from_library(library)(**inputs)
    assert logits.shape == (3, 11, num_outputs)
    assert_equal_at_tokens(logits, library(**inputs).logits, inputs, tolerance=1e-5)


@torch.no_grad()
def test_span_logits_equal_the_librarys_and_padding_never_wins(inputs):
    library = library_bert(transformers.BertForQuestionAnswering)
    expected = library(**inputs)
    start, end = SpanClassifier.from_library(library)(**inputs)
    assert_equal_at_tokens(start, expected.start_logits, inputs, tolerance=1e-5)
    assert_equal_at_tokens(end, expected.end_logits, inputs, tolerance=1e-5)
    is_token = inputs["attention_mask"].bool()
    for logits in (start, end):
        assert (logits.softmax(dim=-1)[~is_token] == 0).all()


@torch.no_grad()
def test_padding_does_not_change_the_states_of_tokens(model, inputs):
    alone = model(**unpadded(inputs))
    torch.testing.assert_close(model(**inputs)[1:2, :6], alone, atol=1e-5, rtol=0)


def test_the_masked_language_model_learns_one_matrix_for_input_and_output(model, inputs):
    masked_lm = MaskedLanguageModel(model)
    before = model.embeddings.token.weight.clone()
    logits = masked_lm(**inputs)
    F.cross_entropy(logits.flatten(0, 1), inputs["input_ids"].flatten()).backward()
    torch.optim.SGD(masked_lm.parameters(), lr=1.0).step()
    assert not torch.equal(model.embeddings.token.weight, before)
    assert torch.equal(masked_lm.output.weight, model.embeddings.token.weight)


def test_weights_start_as_published():
    torch.manual_seed(0)
    model = MaskedLanguageModel(Bert(BertConfig(vocab_size=1000, num_layers=1)))
    for name, weight in model.named_parameters():
        expected = 0.02 if weight.ndim > 1 else 0.0
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
    num_norms = 4
    ones = sum(bool((weight == 1).all()) for weight in model.parameters())
    assert ones == num_norms


def test_dropout_works_in_training_only(model, inputs):
    assert torch.equal(model(**inputs), model(**inputs))
    model.train()
    assert not torch.equal(model(**inputs), model(**inputs))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_act": "relu"}, r"hidden_act='relu'.*hidden_act='gelu'"),
        ({"is_decoder": True}, r"is_decoder=True"),
    ],
)
def test_library_options_that_are_not_built_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Bert.from_library(library_bert(transformers.BertModel, **options))


def test_other_library_models_are_refused():
    config = transformers.RobertaConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with pytest.raises(ValueError, match="model_type='roberta'"):
        Bert.from_library(transformers.RobertaModel(config))


def test_weights_without_a_place_are_refused():
    with pytest.raises(ValueError, match=r"classifier\.bias"):
        TokenClassifier.from_library(library_bert(transformers.BertForMaskedLM))


@pytest.mark.parametrize(
    ("ids", "mask", "error", "message"),
    [
        (torch.ones(1, 13), None, ContextLengthError, "^13 tokens exceed the 12 positions"),
        (torch.ones(2, 3), torch.ones(2, 4), ValueError, r"\(2, 4\), but input_ids have \(2, 3\)"),
        (torch.ones(2, 0), None, ValueError, r"both above 0, not \(2, 0\)"),
        (torch.ones(3), None, ValueError, r"\(batch, tokens\).* not \(3,\)"),
        (torch.full((1, 2), 40), None, ValueError, "from 0 to 39, but these run from 40 to 40"),
        (torch.full((1, 2), -100), None, ValueError, "from 0 to 39, but these run from -100"),
    ],
)
def test_bad_input_gets_one_sentence(model, ids, mask, error, message):
    with pytest.raises(error, match=message):
        model(ids.long(), mask)

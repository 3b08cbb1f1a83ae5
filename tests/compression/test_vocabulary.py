"""Trimmed vocabularies and positions against the models that they come from."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, processors

from utils.assets.datasets import load
from utils.compression import trim_positions, trim_vocabulary

TASK = "turn on the lights in the kitchen and play quiet music"


@pytest.fixture(scope="module")
def questions():
    return load("questions")["train"]["text"][:400]


@pytest.fixture(scope="module")
def trimmed(small_bert, tokenizer, questions):
    return trim_vocabulary(small_bert, tokenizer, questions)


def logits_of(model, tokenizer, texts):
    inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=64)
    with torch.inference_mode():
        return model(**{name: torch.tensor(rows) for name, rows in inputs.items()}).logits


def test_texts_whose_tokens_stay_are_cut_as_before_with_the_same_logits(
    small_bert, tokenizer, questions, trimmed
):
    model, small = trimmed
    assert [small.tokenize(text) for text in questions] == [
        tokenizer.tokenize(text) for text in questions
    ]
    expected = logits_of(small_bert, tokenizer, questions)
    assert (logits_of(model, small, questions) - expected).abs().max() < 1e-6


def test_only_what_is_needed_stays(tokenizer, questions, trimmed):
    model, small = trimmed
    used = {token for text in questions for token in tokenizer.tokenize(text)}
    single = {token for token in tokenizer.get_vocab() if len(token.removeprefix("##")) == 1}
    assert set(small.get_vocab()) == used | single | set(tokenizer.all_special_tokens)
    assert len(small) == model.config.vocab_size == len(model.get_input_embeddings().weight)
    assert sorted(small.get_vocab().values()) == list(range(len(small)))
    assert 2 * len(small) < len(tokenizer)


def test_other_words_fall_into_pieces_but_none_becomes_unknown(tokenizer, trimmed):
    _, small = trimmed
    for text in load("short_texts")["test"]["text"][:300]:
        words = [word for word in text.split() if "[UNK]" not in tokenizer.tokenize(word)]
        pieces = small.tokenize(" ".join(words))
        assert "[UNK]" not in pieces
        joined = "".join(piece.removeprefix("##") for piece in pieces)
        assert joined == "".join(words).lower()


def test_the_original_model_and_tokenizer_stay_as_they_are(small_bert, tokenizer):
    weights = {name: weight.clone() for name, weight in small_bert.state_dict().items()}
    before = tokenizer.backend_tokenizer.to_str()
    model, _ = trim_vocabulary(small_bert, tokenizer, [TASK])
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
    assert small_bert.config.vocab_size == len(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert all(torch.equal(weight, weights[name]) for name, weight in small_bert.named_parameters())


def test_saved_and_loaded_it_is_the_same(trimmed, questions, tmp_path):
    model, small = trimmed
    model.save_pretrained(tmp_path)
    small.save_pretrained(tmp_path)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in (*questions[:20], "zebra jargon", "two [MASK] words"):
        assert tokenizer(text)["input_ids"] == small(text)["input_ids"]
    expected = logits_of(model, small, questions[:20])
    assert torch.equal(logits_of(again.eval(), tokenizer, questions[:20]), expected)


def test_special_tokens_are_where_the_model_looks_for_them(trimmed):
    model, small = trimmed
    ids = small("hello there", "again", padding="max_length", max_length=16)["input_ids"]
    names = small.convert_ids_to_tokens(ids)
    assert names[0] == "[CLS]"
    assert names.count("[SEP]") == 2
    assert ids[-1] == small.pad_token_id == model.config.pad_token_id
    assert model.get_input_embeddings().padding_idx == small.pad_token_id


def test_older_tokenizer_files_are_renumbered_too(small_bert, tokenizer):
    """They name [CLS] and [SEP] in another kind of post-processor."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    sep, cls = (("[SEP]", tokenizer.sep_token_id), ("[CLS]", tokenizer.cls_token_id))
    backend.post_processor = processors.BertProcessing(sep, cls)
    backend.enable_padding(pad_id=tokenizer.pad_token_id, pad_token="[PAD]", length=30)
    older = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, **tokenizer.special_tokens_map
    )
    _, small = trim_vocabulary(small_bert, older, [TASK])
    pieces = ["[CLS]", *tokenizer.tokenize(TASK), "[SEP]"]
    assert small.convert_ids_to_tokens(small(TASK)["input_ids"]) == pieces
    assert small.backend_tokenizer.encode(TASK).tokens == pieces


def test_further_tokens_can_be_kept(small_bert, tokenizer):
    words = ["zebra", "##ization"]
    model, small = trim_vocabulary(small_bert, tokenizer, [TASK], keep=words)
    assert small.tokenize("zebra") == ["zebra"]
    expected = logits_of(small_bert, tokenizer, ["the zebra"])
    assert torch.equal(logits_of(model, small, ["the zebra"]), expected)


def test_a_token_that_does_not_exist_cannot_be_kept(small_bert, tokenizer):
    with pytest.raises(ValueError, match="no token 'lightbulbs'"):
        trim_vocabulary(small_bert, tokenizer, [TASK], keep=["the", "lightbulbs"])


def test_other_tokenizers_are_refused(small_bert):
    bpe = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(ValueError, match="is no WordPiece tokenizer"):
        trim_vocabulary(small_bert, bpe, [TASK])


def test_a_language_model_is_refused(small_bert, tokenizer):
    model = transformers.BertForMaskedLM(small_bert.config)
    with pytest.raises(ValueError, match="predicts tokens"):
        trim_vocabulary(model, tokenizer, [TASK])


@pytest.mark.parametrize("name", ["small_bert", "small_distilbert"])
def test_the_first_positions_are_enough_for_short_texts(name, request, tokenizer, texts, tmp_path):
    model = request.getfixturevalue(name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        tokenizer.name_or_path, model_input_names=["input_ids", "attention_mask"]
    )
    short = trim_positions(model, 20)
    expected = logits_of(model, tokenizer, texts)
    assert torch.equal(logits_of(short, tokenizer, texts), expected)
    saved = sum(w.numel() for w in model.parameters()) - sum(w.numel() for w in short.parameters())
    assert saved == (64 - 20) * 32
    short.save_pretrained(tmp_path)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(logits_of(again, tokenizer, texts), expected)


def test_positions_that_do_not_begin_at_zero_are_refused():
    config = transformers.RobertaConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    with pytest.raises(ValueError, match="has no absolute positions from 0 on"):
        trim_positions(transformers.RobertaForSequenceClassification(config), 16)


def test_one_text_is_no_list_of_letters(small_bert, tokenizer):
    _, expected = trim_vocabulary(small_bert, tokenizer, [TASK])
    assert trim_vocabulary(small_bert, tokenizer, TASK)[1].get_vocab() == expected.get_vocab()

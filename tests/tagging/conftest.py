"""The two kinds of tokenizers, of real models, loaded once."""

import pytest
from transformers import AutoTokenizer

from utils.assets.models import checkpoint


@pytest.fixture(scope="session")
def unigram():
    return AutoTokenizer.from_pretrained(checkpoint("multilingual"))


@pytest.fixture(scope="session")
def wordpiece():
    return AutoTokenizer.from_pretrained(checkpoint("encoder"))


@pytest.fixture(scope="session", params=["unigram", "wordpiece"])
def tokenizer(request):
    return request.getfixturevalue(request.param)

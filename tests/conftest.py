"""Ctrl-C works as on a terminal, in all tests; the real language model, for models and decoding."""

import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from utils.assets.models import checkpoint

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from utils.models.llama import Llama

# Background jobs of a shell ignore SIGINT, and so would what tests start to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class SmolLM2(NamedTuple):
    """SmolLM2-135M in the library's code and in ours, with the same weights."""

    reference: "LlamaForCausalLM"
    ours: "Llama"
    tokenizer: "PreTrainedTokenizerBase"


@pytest.fixture(scope="session")
def smollm2() -> SmolLM2:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from utils.models.llama import Llama

    folder = checkpoint("causal_lm")
    library = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    return SmolLM2(library, Llama.from_library(library), tokenizer)

"""Decoding strategies over any model that continues a text one step at a time.

Each continues prompts `ids` (B, T), whose padding on the left their `cache` knows: a new one for
these prompts, with room for the new tokens. Keywords that are not its own are those of `Limits`.

It raises ValueError if the prompts are empty or a setting is out of its range, and
ContextLengthError if prompts and new tokens do not fit the cache.
"""

from utils.decoding.adapters import LibraryCache, LibraryDecoder
from utils.decoding.contrastive import contrastive_search
from utils.decoding.filters import (
    Sampling,
    apply_temperature,
    ban_repeated_ngrams,
    min_p_filter,
    top_k_filter,
    top_p_filter,
    typical_filter,
)
from utils.decoding.metrics import distinct, quality_table, repetition
from utils.decoding.sampling import sample
from utils.decoding.search import Beams, BeamStep, beam_search, greedy
from utils.decoding.speculative import Draft, NgramDraft, Speculation, speculative_sample
from utils.decoding.steps import Continuations, Decoder, Limits, Step, log_probs_from_logits
from utils.decoding.text import Generation, TextGenerator
from utils.decoding.toy import ToyLM

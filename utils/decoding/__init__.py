"""Decoding strategies over any model that continues a text one step at a time."""

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

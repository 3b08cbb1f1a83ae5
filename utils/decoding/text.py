"""From prompts to texts, with any strategy, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from utils.decoding.adapters import LibraryDecoder
from utils.decoding.contrastive import contrastive_search
from utils.decoding.filters import Sampling
from utils.decoding.sampling import sample
from utils.decoding.search import beam_search, greedy
from utils.decoding.speculative import speculative_sample
from utils.decoding.steps import Continuations, Decoder
from utils.inputs import check_count, checked_texts, choices
from utils.models.modes import evaluating

if TYPE_CHECKING:
    import numpy as np
    import transformers

    from utils.models.decoder import DecoderModel


class Method(NamedTuple):
    """A strategy, and what its callers have to know of it."""

    function: Callable[..., Continuations]
    settings: tuple[str, ...]
    is_drawn: bool = False  # takes a `Sampling` and a generator
    reads_states: bool = False  # is given the decoder, the others its `step`


SAMPLING = tuple(field.name for field in fields(Sampling))
ONCE = "no_repeat_ngram_size"
BEAMS = ("num_beams", "length_penalty", "early_stopping", ONCE, "num_return_sequences", "on_step")
METHODS = {
    "greedy": Method(greedy, (ONCE,)),
    "beam": Method(beam_search, BEAMS),
    "sample": Method(sample, (ONCE, *SAMPLING), is_drawn=True),
    "contrastive": Method(contrastive_search, ("k", "penalty"), reads_states=True),
    "speculative": Method(
        speculative_sample, ("draft", "num_drafted", *SAMPLING), is_drawn=True, reads_states=True
    ),
}
UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # the last token has a part of a character only
OnText = Callable[[list[str]], None]  # gets what the text of each row has grown by


@dataclass(frozen=True)
class Generation:
    """Texts that continue prompts. A row is one text; the rows of a prompt follow each other.

    Attributes:
        prompts, prompt_ids: of each row, without padding.
        ids: the new tokens of each row, without padding; the end token stays.
        texts: what each row's `ids` say, without special tokens.
        log_probs: of each row, one number per new token: its natural log-probability under the
            model itself, whatever the method made of it.
        num_samples: texts per prompt that were drawn; 1 where nothing is.
        seconds: for all rows, from the prompts' ids to the new ids.
        num_model_calls: passes through the model, each with all rows, or in speculative sampling
            with one.
    """

    method: str
    settings: Mapping[str, object]
    prompts: list[str]
    prompt_ids: list[list[int]]
    ids: list[list[int]]
    texts: list[str]
    log_probs: list[np.ndarray]
    num_samples: int
    seconds: float
    num_model_calls: int


class TextGenerator:
    """Continues prompts with a model, which stays shared and as it is.

    Args:
        model: a causal language model of the library, or one of ours.
        tokenizer: the model's; it need not have a padding token.
    """

    def __init__(
        self,
        model: transformers.PreTrainedModel | DecoderModel,
        tokenizer: transformers.PreTrainedTokenizerBase,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer

    def generate(
        self,
        prompts: str | Sequence[str],
        method: str = "greedy",
        *,
        max_new_tokens: int,
        num_samples: int = 1,
        seed: int = 42,
        on_token: OnText | None = None,
        **settings: Any,
    ) -> Generation:
        """Continue one prompt, or several in a batch.

        Args:
            prompts: one text or more.
            method: "greedy", "beam", "sample", "contrastive" or "speculative".
            max_new_tokens: at most so many; fewer where the end token comes.
            num_samples: texts per prompt, for the methods that draw.
            seed: of what is drawn; the same seed gives the same texts.
            on_token: gets, after each step, the text by which each row has grown (in speculative
                sampling, of the one row at work); not for beams, whose texts change until the end.
            settings: of the method's function in `utils.decoding`; those of `Sampling` one by one.

        Raises:
            ValueError: the method or a setting does not exist or is out of its range, a prompt is
                empty, the model's logits are not finite, or every token is banned.
            ContextLengthError: the longest prompt and the new tokens exceed the model's positions.
        """
        kind = _checked_method(method, settings, num_samples, on_token)
        prompts = checked_texts(prompts, "prompt")
        prompt_ids = self._encode(prompts)
        decoder = _Counted(self.model)
        options = settings | {"max_new_tokens": max_new_tokens, "pad_id": self._pad_id}
        options["eos_id"] = self._eos_id
        if kind.is_drawn:
            drawing = {name: options.pop(name) for name in SAMPLING if name in options}
            options["sampling"] = Sampling(**drawing)
            options["generator"] = torch.Generator(decoder.device).manual_seed(seed)
        batches = [list(range(len(prompts)))]
        if method == "sample":
            options["num_samples"] = num_samples
        elif method == "speculative":  # takes one prompt at a time
            batches = [[place] for place in range(len(prompts)) for _ in range(num_samples)]
        start = time.perf_counter()
        rows = []
        with evaluating(self.model):
            for places in batches:
                batch = [prompt_ids[place] for place in places]
                if on_token is not None:
                    options["on_token"] = _Stream(self._text, batch, on_token)
                rows += _rows(self._continue(kind, decoder, batch, options), places)
                if on_token is not None:
                    options["on_token"].close()
        seconds = time.perf_counter() - start
        return Generation(
            method=method,
            settings=settings,
            prompts=[prompts[place] for place, *_ in rows],
            prompt_ids=[prompt_ids[place] for place, *_ in rows],
            ids=[ids for _, ids, _ in rows],
            texts=[self._text(prompt_ids[place], ids) for place, ids, _ in rows],
            log_probs=[log_probs for *_, log_probs in rows],
            num_samples=num_samples,
            seconds=seconds,
            num_model_calls=decoder.num_calls,
        )

    def _encode(self, prompts: list[str]) -> list[list[int]]:
        ids = self.tokenizer(prompts, verbose=False)["input_ids"]
        for prompt, row in zip(prompts, ids, strict=True):
            if not row:
                raise ValueError(f"Prompt {prompt!r} has no tokens: give at least one word.")
        return ids

    def _continue(
        self, kind: Method, decoder: _Counted, batch: list[list[int]], options: Mapping[str, Any]
    ) -> Continuations:
        """Pad prompts on the left, and continue them together."""
        length = max(map(len, batch))
        ids = [[self._pad_id] * (length - len(row)) + row for row in batch]
        mask = [[0] * (length - len(row)) + [1] * len(row) for row in batch]
        ids, mask = torch.tensor([ids, mask], device=decoder.device)  # (B, T) each
        cache = decoder.new_cache(mask, options["max_new_tokens"])
        return kind.function(decoder if kind.reads_states else decoder.step, ids, cache, **options)

    @property
    def _eos_id(self) -> int | list[int] | None:
        """What ends a text, as the library's `generate` sees it."""
        config = getattr(self.model, "generation_config", None)
        own = getattr(config, "eos_token_id", None)
        return self.tokenizer.eos_token_id if own is None else own

    @property
    def _pad_id(self) -> int:
        """What fills rows up: it is masked, so any id will do where the tokenizer has none."""
        tokenizer = self.tokenizer
        has_pad = tokenizer.pad_token_id is not None
        return tokenizer.pad_token_id if has_pad else tokenizer.eos_token_id or 0

    def _text(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        """What `ids` add to the text of the prompt; alone, some tokenizers drop a space first."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        prompt = self.tokenizer.decode(prompt_ids, **options)
        return self.tokenizer.decode([*prompt_ids, *ids], **options)[len(prompt) :]


def _rows(
    continuations: Continuations, places: Sequence[int]
) -> Iterator[tuple[int, list[int], np.ndarray]]:
    """Place of the prompt, new ids and their log-probabilities, for each row of a batch."""
    new_ids = continuations.new_ids
    repeats = len(new_ids) // len(places)
    for row, (ids, log_probs) in enumerate(
        zip(new_ids, continuations.log_probs.cpu(), strict=True)
    ):
        yield places[row // repeats], ids, log_probs[: len(ids)].numpy()


def _checked_method(
    name: str, settings: Iterable[str], num_samples: int, on_token: OnText | None
) -> Method:
    """The method of this name, or ValueError if it cannot do what is asked."""
    if name not in METHODS:
        raise ValueError(f"There is no method {name!r}: choose {choices(name, METHODS)}.")
    method = METHODS[name]
    for setting in settings:
        if setting not in method.settings:
            known = choices(setting, method.settings)
            raise ValueError(f"{name} has no setting {setting!r}: choose {known}.")
    if name == "beam" and "num_beams" not in settings:
        raise ValueError(f"{name} needs to know num_beams: give 2 or more.")
    check_count(num_samples=num_samples)
    if num_samples > 1 and not method.is_drawn:
        raise ValueError(
            f"num_samples is {num_samples}, but {name} writes the same text each time: "
            "use 'sample', or 'beam' with num_return_sequences."
        )
    if on_token is not None and name == "beam":
        raise ValueError(f"{name} has no on_token: its texts change until the end.")
    return method


class _Stream:
    """Tells a listener what each row has grown by, when it is given the newest tokens.

    `text` says what new ids add to the text of prompt ids.
    """

    def __init__(
        self, text: Callable[..., str], prompts: Sequence[Sequence[int]], listener: OnText
    ) -> None:
        self.text, self.prompts, self.listener = text, prompts, listener
        self.ids: list[list[int]] = []
        self.told: list[str] = []

    def __call__(self, new: Tensor) -> None:
        if not self.ids:
            self.ids, self.told = [[] for _ in new], ["" for _ in new]
        for ids, token in zip(self.ids, new.tolist(), strict=True):
            ids.append(token)
        self.listener(self._pieces())

    def close(self) -> None:
        """Tell what was held back: a text may end inside a character."""
        if any(pieces := self._pieces(is_over=True)):
            self.listener(pieces)

    def _pieces(self, *, is_over: bool = False) -> list[str]:
        repeats = len(self.ids) // len(self.prompts)
        pieces = []
        for row, ids in enumerate(self.ids):
            text = self.text(self.prompts[row // repeats], ids)
            if text.endswith(UNFINISHED) and not is_over:
                text = self.told[row]
            pieces.append(text[len(self.told[row]) :])
            self.told[row] = text
        return pieces


class _Counted:
    """A decoder that counts the passes through its model."""

    def __init__(self, model: transformers.PreTrainedModel | DecoderModel) -> None:
        self.decoder: Decoder = model if hasattr(model, "new_cache") else LibraryDecoder(model)
        self.new_cache = self.decoder.new_cache
        self.logits = self.decoder.logits
        self.device = next(model.parameters()).device
        self.num_calls = 0

    def step(self, ids: Tensor, cache: Any) -> Tensor:
        self.num_calls += 1
        return self.decoder.step(ids, cache)

    def states(self, ids: Tensor, cache: Any) -> Tensor:
        self.num_calls += 1
        return self.decoder.states(ids, cache)

"""From prompts to texts, with any strategy, in one call."""

from __future__ import annotations

import difflib
import inspect
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
from utils.decoding.speculative import NgramDraft, speculative_sample
from utils.decoding.steps import Continuations, Decoder

if TYPE_CHECKING:
    import numpy as np
    import transformers

    from utils.models.decoder import DecoderModel

METHODS: dict[str, Callable[..., Continuations]] = {
    "greedy": greedy,
    "beam": beam_search,
    "sample": sample,
    "contrastive": contrastive_search,
    "speculative": speculative_sample,
}
DRAWING = ("sample", "speculative")
# Parameters that `TextGenerator.generate` sets itself; the others are the settings of a method.
GIVEN = {"step", "decoder", "ids", "cache", "sampling", "max_new_tokens", "num_samples"}
GIVEN |= {"generator", "eos_id", "pad_id", "on_token"}
UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # the last token has a part of a character only
OnText = Callable[[list[str]], None]  # gets what the text of each row has grown by


@dataclass(frozen=True)
class Generation:
    """Texts that continue prompts. A row is one text; the rows of a prompt follow each other.

    Attributes:
        method: "greedy", "beam", "sample", "contrastive" or "speculative".
        settings: as they were given.
        prompts: of each row.
        prompt_ids: of each row, without padding.
        ids: the new tokens of each row, without padding; the end token stays.
        texts: what each row's `ids` say, without special tokens.
        log_probs: of each row, one number per new token: its natural log-probability under the
            model itself, whatever the method made of it.
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
            ValueError: the method or a setting does not exist or is out of its range, or a prompt
                is empty.
            ContextLengthError: the longest prompt and the new tokens exceed the model's positions.
        """
        strategy = _Strategy(method, settings)
        strategy.check_rows(num_samples, on_token)
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        prompt_ids = self._encode(prompts)
        decoder = _Counted(self.model)
        options: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "num_samples": num_samples,
            "generator": torch.Generator(decoder.device).manual_seed(seed),
            "eos_id": self.tokenizer.eos_token_id,
        }
        start = time.perf_counter()
        rows: list[_Row] = []
        for places in strategy.batches(len(prompts), num_samples):
            batch = [prompt_ids[place] for place in places]
            options["on_token"] = on_token and _Stream(self._text, batch, on_token)
            rows += _rows(self._continue(strategy, decoder, batch, options), places)
        seconds = time.perf_counter() - start
        return Generation(
            method=method,
            settings=settings,
            prompts=[prompts[row.place] for row in rows],
            prompt_ids=[prompt_ids[row.place] for row in rows],
            ids=[row.ids for row in rows],
            texts=[self._text(prompt_ids[row.place], row.ids) for row in rows],
            log_probs=[row.log_probs for row in rows],
            seconds=seconds,
            num_model_calls=decoder.num_calls,
        )

    def _encode(self, prompts: list[str]) -> list[list[int]]:
        if not prompts:
            raise ValueError("There is no prompt: give at least one.")
        ids = self.tokenizer(prompts, verbose=False)["input_ids"]
        for prompt, row in zip(prompts, ids, strict=True):
            if not row:
                raise ValueError(f"Prompt {prompt!r} has no tokens: give at least one word.")
        return ids

    def _continue(
        self,
        strategy: _Strategy,
        decoder: _Counted,
        batch: Sequence[list[int]],
        options: Mapping[str, Any],
    ) -> Continuations:
        """Pad prompts on the left, and continue them together."""
        pad_id = self._pad_id
        length = max(map(len, batch))
        ids = [[pad_id] * (length - len(row)) + row for row in batch]
        mask = [[0] * (length - len(row)) + [1] * len(row) for row in batch]
        ids, mask = torch.tensor([ids, mask], device=decoder.device)  # (B, T) each
        cache = decoder.new_cache(mask, options["max_new_tokens"])
        return strategy(decoder, ids, cache, pad_id=pad_id, **options)

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


class _Row(NamedTuple):
    """The continuation of the prompt at a place."""

    place: int
    ids: list[int]
    log_probs: np.ndarray  # (new,)


def _rows(continuations: Continuations, places: Sequence[int]) -> Iterator[_Row]:
    """The rows of a batch, as many for each of the prompts at `places`."""
    new_ids = continuations.new_ids
    repeats = len(new_ids) // len(places)
    log_probs = continuations.log_probs.cpu().numpy()
    for row, ids in enumerate(new_ids):
        yield _Row(places[row // repeats], ids, log_probs[row, : len(ids)])


class _Strategy:
    """A method with its settings.

    Raises:
        ValueError: the method or a setting does not exist, or one is missing.
    """

    def __init__(self, method: str, settings: Mapping[str, Any]) -> None:
        if method not in METHODS:
            choices = _choices(method, METHODS)
            raise ValueError(f"There is no method {method!r}: choose {choices}.")
        self.method = method
        self.function = METHODS[method]
        self.parameters = inspect.signature(self.function).parameters
        self.settings = self._checked(settings)

    def __call__(self, decoder: Decoder, ids: Tensor, cache: Any, **options: Any) -> Continuations:
        """Continue prompts `ids` (B, T) with those of the options that the method has."""
        model = decoder.step if "step" in self.parameters else decoder
        known = {name: value for name, value in options.items() if name in self.parameters}
        return self.function(model, ids, cache, **self.settings, **known)

    def check_rows(self, num_samples: int, on_token: OnText | None) -> None:
        """Raise ValueError for several rows of what is never drawn, and for moving targets."""
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}: ask for 1 or more.")
        if num_samples > 1 and self.method not in DRAWING:
            raise ValueError(
                f"num_samples is {num_samples}, but {self.method} writes the same text each time: "
                "use 'sample', or 'beam' with num_return_sequences."
            )
        if on_token is not None and "on_token" not in self.parameters:
            raise ValueError(f"{self.method} has no on_token: its texts change until the end.")

    def batches(self, num_prompts: int, num_samples: int) -> list[list[int]]:
        """The places of the prompts that go through the model together."""
        if self.method == "speculative":
            return [[place] for place in range(num_prompts) for _ in range(num_samples)]
        return [list(range(num_prompts))]

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings by the function's own names: those of `Sampling` become one."""
        own = [name for name in self.parameters if name not in GIVEN]
        drawing = [field.name for field in fields(Sampling) if "sampling" in self.parameters]
        for name in settings:
            if name not in own + drawing:
                choices = _choices(name, own + drawing)
                raise ValueError(f"{self.method} has no setting {name!r}: choose {choices}.")
        if "num_beams" in own and "num_beams" not in settings:
            raise ValueError(f"{self.method} needs to know num_beams: give 2 or more.")
        checked = {name: settings[name] for name in settings if name in own}
        if drawing:
            drawn = {name: settings[name] for name in settings if name in drawing}
            checked["sampling"] = Sampling(**drawn)
        if "draft" in own:
            checked.setdefault("draft", NgramDraft())
        return checked


class _Stream:
    """Tells a listener what each row has grown by, when it is given the newest tokens.

    Args:
        text: what new ids add to the text of prompt ids.
        prompts: ids of each.
        listener: gets one text per row.
    """

    def __init__(
        self, text: Callable[..., str], prompts: Sequence[Sequence[int]], listener: OnText
    ) -> None:
        self.text = text
        self.prompts = prompts
        self.listener = listener
        self.ids: list[list[int]] = []
        self.told: list[str] = []

    def __call__(self, new: Tensor) -> None:
        if not self.ids:
            self.ids, self.told = [[] for _ in new], ["" for _ in new]
        repeats = len(new) // len(self.prompts)
        pieces = []
        for row, token in enumerate(new.tolist()):
            self.ids[row].append(token)
            text = self.text(self.prompts[row // repeats], self.ids[row])
            pieces.append(self._news(row, text))
        self.listener(pieces)

    def _news(self, row: int, text: str) -> str:
        if text.endswith(UNFINISHED):
            return ""
        news = text[len(self.told[row]) :]
        self.told[row] = text
        return news


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


def _choices(name: str, names: Iterable[str]) -> str:
    """The names that look like this one, or else all."""
    names = list(names)
    near = difflib.get_close_matches(name, names, cutoff=0.5) or names
    return ", ".join(map(repr, near[:-1])) + " or " * (len(near) > 1) + repr(near[-1])

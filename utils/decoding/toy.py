"""A language model of a dozen words, whose probabilities can be checked by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

START = "<start>"  # comes before a tree that begins with no words
END = "<end>"  # what follows where the tree has no more words

Words = tuple[str, ...]
Tree = Mapping[Words, Mapping[str, float]]


@dataclass
class ToyCache:
    """What a toy model keeps between steps: the ids (B, T) so far."""

    ids: Tensor

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        return self.ids.shape[1]

    def reorder(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows of the batch, given indices (B',) into it."""
        self.ids = self.ids[rows]


class ToyLM:
    """Next-word probabilities that are written down, for `greedy`, `beam_search` and `sample`.

    Where the tree has no words after a text, the end token follows with probability 1.

    Args:
        tree: from the words so far to the probabilities of the next one, for instance
            {("The",): {"dog": 1.0}, ("The", "dog"): {"has": 1.0}}. The shortest words so far are
            the prompt, here "The"; they may be (), before which the model sees a start token.

    Attributes:
        prompt: the shortest words so far.
        vocabulary: all words in the order of the tree, the start token if there is one before them,
            the end token after them.
        eos_id: the id of the end token.

    Raises:
        ValueError: probabilities do not sum to 1, or a part of the tree cannot be reached.
    """

    def __init__(self, tree: Tree) -> None:
        _check_tree(tree)
        self.tree = tree
        self.prompt: Words = min(tree, key=len)
        self._start: Words = () if self.prompt else (START,)
        words = [*self._start, *(word for node in tree for word in (*node, *tree[node]))]
        self.vocabulary: Words = (*dict.fromkeys(words), END)
        self.eos_id = len(self.vocabulary) - 1
        self._ids = {word: place for place, word in enumerate(self.vocabulary)}
        self._rows = {tuple(self.encode(node)[0].tolist()): row for row, node in enumerate(tree)}
        self._log_probs = self._table()  # (nodes + 1, V)

    def encode(self, words: str | Sequence[str] | None = None) -> Tensor:
        """Ids (1, T) of words, or of a text with spaces between them; of the prompt by default.

        Where the tree has a start token, it comes first.
        """
        words = self.prompt if words is None else _split(words)
        for word in words:
            if word not in self._ids:
                raise ValueError(f"The tree has no word {word!r}: it has {', '.join(self._ids)}.")
        return torch.tensor([[self._ids[word] for word in (*self._start, *words)]])

    def decode(self, ids: Sequence[int] | Tensor) -> Words:
        """The words of ids (T,), without start and end tokens."""
        words = [self.vocabulary[int(each)] for each in ids]
        return tuple(word for word in words if word not in (START, END))

    def new_cache(self, attention_mask: Tensor, max_new_tokens: int) -> ToyCache:
        """An empty cache for prompts of one length; texts may grow without limit."""
        return ToyCache(attention_mask.new_empty(len(attention_mask), 0))

    def step(self, ids: Tensor, cache: ToyCache) -> Tensor:
        """Log-probabilities (B, V) after `ids` (B, T), -inf for what cannot follow."""
        is_prompt = cache.length == 0
        cache.ids = torch.cat((cache.ids, ids), dim=1)
        texts = [tuple(row) for row in cache.ids.tolist()]
        if is_prompt:
            self._check_prompts(texts)
        ended = len(self._rows)
        return self._log_probs[[self._rows.get(text, ended) for text in texts]]

    def probability(self, words: str | Sequence[str]) -> float:
        """Probability of words after the prompt; 0.0 if impossible."""
        text, product = self.prompt, 1.0
        for word in _split(words):
            product *= self.tree.get(text, {END: 1.0}).get(word, 0.0)
            text = (*text, word)
        return product

    def exhaustive(self, steps: int) -> list[tuple[Words, float]]:
        """All continuations of at most `steps` words with their probabilities, best first."""
        paths = [(text[len(self.prompt) :], prob) for text, prob in self._paths(self.prompt, steps)]
        return sorted(paths, key=lambda path: -path[1])

    def _paths(self, text: Words, steps: int) -> Iterator[tuple[Words, float]]:
        if steps == 0 or text not in self.tree:
            yield text, 1.0
            return
        for word, first in self.tree[text].items():
            for path, rest in self._paths((*text, word), steps - 1):
                yield path, first * rest

    def _table(self) -> Tensor:
        """Log-probabilities (nodes + 1, V); the last row is for texts outside the tree."""
        table = torch.full((len(self.tree) + 1, len(self.vocabulary)), -math.inf)
        for row, probs in enumerate(self.tree.values()):
            for word, prob in probs.items():
                table[row, self._ids[word]] = math.log(prob)
        table[-1, self.eos_id] = 0.0
        return table

    def _check_prompts(self, texts: Sequence[tuple[int, ...]]) -> None:
        for text in texts:
            if text not in self._rows:
                words = " ".join(self.decode(text))
                prompt = " ".join(self.prompt)
                raise ValueError(f"The tree has nothing after {words!r}: begin with {prompt!r}.")


def _check_tree(tree: Tree) -> None:
    if not tree:
        raise ValueError("The tree is empty: give the words so far and what may follow them.")
    root = min(tree, key=len)
    for node, probs in tree.items():
        if any(prob <= 0 for prob in probs.values()):
            raise ValueError(f"After {node}, a probability is not positive: leave such words out.")
        total = math.fsum(probs.values())
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"After {node}, the probabilities sum to {total:.6g}, not to 1.")
        if node != root and node[-1] not in tree.get(node[:-1], {}):
            raise ValueError(f"{node} is never reached: {node[-1]!r} does not follow {node[:-1]}.")


def _split(words: str | Sequence[str]) -> Sequence[str]:
    return words.split() if isinstance(words, str) else words

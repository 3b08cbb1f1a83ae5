"""Queries to an assistant, most of which it can serve: 36 intents and "oos", out of scope.

After CLINC150 (Larson et al., 2019): of the queries out of scope, few are there to learn from and
many to test with. Those near the scope are commands of intents that no split shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from utils.assets.splits import hold_out_groups, shuffled_rows, split

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

OUT_OF_SCOPE = "oos"
IN_SCOPE = {"validation": 600, "test": 1000}  # rows; the others are for training
FAR = {"train": 70, "validation": 25, "test": 130}  # rows from each source
FAR_SOURCES = ("questions", "chats")
NEAR = {  # the intents that a split has out of scope
    "train": ("HassGetCurrentTime", "HassVacuumReturnToBase"),
    "validation": ("HassRespond",),
    "test": ("HassGetCurrentDate", "HassBroadcast"),
}

Query = Mapping[str, str]


def split_queries(queries: Iterable[Query]) -> DatasetDict:
    """Queries (text, scope, source, skeleton) -> splits with text, intent, scope and source."""
    from datasets import DatasetDict, concatenate_datasets

    queries = list(queries)
    in_scope = split(_table(queries, "in"), IN_SCOPE, "skeleton")
    parts = {name: [rows] for name, rows in in_scope.items()}
    for source in FAR_SOURCES:
        rest = _table(queries, "far", [source])
        for name, size in FAR.items():
            rest, taken = hold_out_groups(rest, size, "skeleton")
            parts[name].append(taken)
    for name, sources in NEAR.items():
        parts[name].append(_table(queries, "near", sources))
    mixed = {name: concatenate_datasets(tables) for name, tables in parts.items()}
    return DatasetDict(
        {name: table.select(shuffled_rows(table)) for name, table in mixed.items()}
    ).remove_columns("skeleton")


def _table(queries: Iterable[Query], scope: str, sources: Iterable[str] = ()) -> Dataset:
    """The queries of a scope, and of some sources if given."""
    from datasets import ClassLabel, Dataset, Features, Value

    intents = sorted({query["source"] for query in queries if query["scope"] == "in"})
    columns = dict.fromkeys(("text", "scope", "source", "skeleton"), Value("string"))
    features = Features(**columns, intent=ClassLabel(names=[*intents, OUT_OF_SCOPE]))
    rows = [
        {**query, "intent": query["source"] if scope == "in" else OUT_OF_SCOPE}
        for query in queries
        if query["scope"] == scope and (not sources or query["source"] in sources)
    ]
    return Dataset.from_list(rows, features)

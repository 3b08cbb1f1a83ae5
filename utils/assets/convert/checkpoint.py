"""Write a transformers directory that holds exactly the weights of its model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel


def save(
    model_class: type["PreTrainedModel"],
    config: "PreTrainedConfig",
    weights: Mapping[str, "np.ndarray"],
    target: Path,
    *,
    generation: "GenerationConfig | None" = None,
    **arguments: bool,
) -> None:
    """Save the model that `model_class(config, **arguments)` builds, with these weights in fp32.

    Raises RuntimeError when a weight is missing, unknown or of another shape.
    """
    import torch

    with torch.device("meta"):  # neither memory nor random numbers
        model = model_class(config, **arguments)
    state = {name: torch.from_numpy(weight.astype("float32")) for name, weight in weights.items()}
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    if generation:
        model.generation_config = generation
    with no_progress_bars():
        model.save_pretrained(target)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """transformers without bars on stderr, which a notebook would keep."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()

"""Write a transformers directory that holds exactly the weights of its model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging


def save(
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    weights: Mapping[str, np.ndarray],
    target: Path,
    *,
    generation: GenerationConfig | None = None,
    **arguments: bool,
) -> None:
    """Save the model that `model_class(config, **arguments)` builds, with these weights in fp32.

    Raises RuntimeError when a weight is missing, unknown or of another shape.
    """
    with torch.device("meta"):  # neither memory nor random numbers
        model = model_class(config, **arguments)
    state = {name: torch.from_numpy(weight.astype("float32")) for name, weight in weights.items()}
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    if generation:
        model.generation_config = generation
    has_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # on stderr, which a notebook would keep
    model.save_pretrained(target)
    if has_bars:
        logging.enable_progress_bar()

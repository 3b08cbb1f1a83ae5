"""Write a transformers directory that holds exactly the weights of its model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from utils.quiet import quiet_loading


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
    with quiet_loading():  # a notebook would keep the bars of stderr
        model.save_pretrained(target)

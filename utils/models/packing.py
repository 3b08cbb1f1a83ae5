"""Linear layers for inference on a CPU, with weights laid out once for the kernel that reads them.

A step of a decoder reads every weight and computes little with it: a layout in which a kernel reads
faster, or bfloat16, which is half as many bytes, saves time where nothing else does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer in the blocked layout of oneDNN, as `torch.compile` freezes them on a CPU.

    It cannot be trained, saved or moved: keep the layer that it was made from.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """(…, D) -> (…, D')."""
        return torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, "none", [], "")


def pack_linears(model: nn.Module) -> nn.Module:
    """`model` with every linear layer packed, in place; embeddings stay, also where they are tied.

    Raises ValueError if the model is not on the CPU, or this PyTorch has no oneDNN.
    """
    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        raise ValueError("Packed layers run on the CPU: move the model there first.")
    if not torch.backends.mkldnn.is_available():
        raise ValueError("This PyTorch was built without oneDNN: use the model unpacked.")
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child))
    return model

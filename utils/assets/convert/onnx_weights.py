"""The weights of a model that PyTorch exported to ONNX, under their names in PyTorch."""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, numpy_helper


def read(path: Path, prefix: str) -> dict[str, np.ndarray]:
    """Name without `prefix` -> weight, for the names that start with `prefix`.

    The export transposes the matrix of a linear layer and drops its name; the bias that is added to
    its product keeps its own, which names both.
    """
    graph = onnx.load(path).graph
    weights = constants(graph)
    named = {name: weight for name, weight in weights.items() if name.startswith(prefix)}
    for bias, matrix in _linear_layers(graph).items():
        if bias.startswith(prefix) and matrix in weights:
            named[f"{bias.removesuffix('bias')}weight"] = weights[matrix].T
    return {name.removeprefix(prefix): weight for name, weight in named.items()}


def constants(graph: GraphProto) -> dict[str, np.ndarray]:
    """The graph's initializers by name, equal ones under each of their names."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    return weights


def _linear_layers(graph: GraphProto) -> dict[str, str]:
    """Name of the bias -> name of the matrix, for each MatMul whose product gets a bias."""
    matrices = {
        node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"
    }  # by name of the product
    return {
        bias: matrices[product]
        for node in graph.node
        if node.op_type == "Add"
        for bias, product in (node.input, reversed(node.input))
        if bias.endswith(".bias") and product in matrices
    }

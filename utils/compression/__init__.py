"""Make a trained classifier smaller and faster: int8, ONNX Runtime, a vocabulary that fits."""

from utils.compression.classifier import (
    OnnxPipeline,
    TextClassifier,
    onnx_runner,
    save_classifier,
    torch_runner,
)
from utils.compression.onnx_export import (
    export_onnx,
    foldable_graph,
    input_names,
    node_table,
    op_counts,
    optimize,
    parity_table,
)
from utils.compression.quantization import (
    AffineMap,
    calibrate,
    fake_quantize,
    float_bits,
    quantize_linears,
    quantize_weights_only,
    rounding_errors,
    scheme_errors,
    simulate_quantization,
)
from utils.compression.sessions import create_session, quantize_onnx, quantize_onnx_static
from utils.compression.sparsity import compare_products, sparse_sizes
from utils.compression.structure import neuron_importance, prune_neurons
from utils.compression.vocabulary import trim_positions, trim_vocabulary

"""Exported files against the models that they come from."""

import onnx
import pytest
import torch

from utils.compression import (
    create_session,
    export_onnx,
    foldable_graph,
    node_table,
    op_counts,
    optimize,
    parity_table,
)
from utils.files import complete_or_absent


def test_logits_are_those_of_torch_for_any_length_and_batch_size(small_bert, tokenizer, onnx_file):
    lengths, batch_sizes = (1, 3, 17, 64), (1, 2, 7)
    session = create_session(onnx_file)
    options = {"lengths": lengths, "batch_sizes": batch_sizes}
    table = parity_table(small_bert, session, tokenizer, **options)
    assert table.shape == (4, 3)
    assert 0 < table.to_numpy().max() < 1e-4


def test_parity_finds_a_model_that_changed(small_bert, tokenizer, onnx_file):
    session = create_session(onnx_file)
    with torch.no_grad():
        small_bert.classifier.bias[2] += 0.01
    try:
        assert parity_table(small_bert, session, tokenizer).to_numpy().max() == pytest.approx(
            0.01, abs=1e-4
        )
    finally:
        with torch.no_grad():
            small_bert.classifier.bias[2] -= 0.01


def test_inputs_are_what_the_tokenizer_and_the_model_share(onnx_file, tokenizer):
    names = [node.name for node in create_session(onnx_file).get_inputs()]
    assert names == tokenizer.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]


def test_a_model_in_training_is_exported_without_dropout_or_inputs_that_it_lacks(
    small_distilbert, tokenizer, tmp_path
):
    small_distilbert.train()
    small_distilbert.distilbert.transformer.layer[0].eval()
    modes = [module.training for module in small_distilbert.modules()]
    session = create_session(export_onnx(small_distilbert, tokenizer, tmp_path / "model.onnx"))
    assert [module.training for module in small_distilbert.modules()] == modes
    assert small_distilbert.config._attn_implementation == "sdpa"
    assert [node.name for node in session.get_inputs()] == ["input_ids", "attention_mask"]
    assert parity_table(small_distilbert, session, tokenizer).to_numpy().max() < 1e-4
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path):
    path = tmp_path / "folder" / "model.onnx"
    with complete_or_absent(path) as partial:
        partial.write_bytes(b"whole")
        assert not path.exists()
    with pytest.raises(TypeError, match="bytes-like"), complete_or_absent(path) as partial:
        partial.write_bytes("half of it is written before this fails")
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == b"whole"


def test_counts_are_those_of_the_graph(onnx_file):
    counts = op_counts(onnx_file)
    assert sum(counts.values()) == len(onnx.load(onnx_file).graph.node)
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert counts["Softmax"] == counts["Gelu"] == 2  # one in each layer


def test_optimizing_fuses_and_changes_no_logits(small_bert, tokenizer, onnx_file, tmp_path):
    optimized = optimize(onnx_file, tmp_path / "optimized.onnx")
    before, after = op_counts(onnx_file), op_counts(optimized)
    assert sum(after.values()) < sum(before.values())
    assert after["BiasGelu"] == before["Gelu"]
    assert parity_table(small_bert, create_session(optimized), tokenizer).to_numpy().max() < 1e-4


def test_the_table_shows_the_nodes_and_marks_weights(onnx_file):
    table = node_table(onnx_file)
    assert table["op"].tolist() == [node.op_type for node in onnx.load(onnx_file).graph.node]
    lookup = table[table["op"] == "Gather"].iloc[0]
    assert lookup["inputs"] == "model.bert.embeddings.word_embeddings.weight*, input_ids"


def test_a_sum_of_constants_is_folded(tmp_path):
    path = foldable_graph(tmp_path / "graph.onnx")
    folded = optimize(path, tmp_path / "folded.onnx")
    assert op_counts(path) == {"Add": 1, "Mul": 1}
    assert op_counts(folded) == {"Mul": 1}
    for file in (path, folded):
        (y,) = create_session(file).run(None, {"x": torch.tensor([1.0, -2.0]).numpy()})
        assert y.tolist() == [5.0, -10.0]

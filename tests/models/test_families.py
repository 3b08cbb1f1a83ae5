"""The table of models holds together, and its configurations have the published sizes."""

from pathlib import Path

import pytest

from utils.models.families import (
    compare_sizes,
    count_parameters,
    estimate_decoder_parameters,
    load_configurations,
    load_families,
)

# Millions of parameters in bert-base-uncased, distilbert-base-uncased, roberta-base,
# xlm-roberta-base, albert-base-v2, gpt2 and gpt2-xl, without a head.
MILLIONS = {
    "BERT base": 109.5,
    "DistilBERT": 66.4,
    "RoBERTa base": 124.6,
    "XLM-R base": 278.0,
    "ALBERT base": 11.7,
    "GPT-2": 124.4,
    "GPT-2 XL": 1557.6,
}
# fmt: off
BOOK = {
    "Transformer", "BERT", "DistilBERT", "RoBERTa", "XLM", "XLM-R", "ALBERT", "ELECTRA", "DeBERTa",
    "GPT", "GPT-2", "CTRL", "GPT-3", "GPT-Neo", "GPT-J", "T5", "BART", "M2M-100", "BigBird",
}
# fmt: on

ENTRY = """
[[model]]
name = "{name}"
year = {year}
month = 1
branch = "{branch}"
parents = {parents}
organisation = "Lab"
objective = "causal LM"
parameters = 1_000
change = "Something."
source = "A paper"
"""
ROOT = ENTRY.format(name="Root", year=2018, branch="decoder", parents="[]")


@pytest.fixture(scope="module")
def sizes():
    return compare_sizes()


def test_every_model_of_the_book_and_of_later_years_has_a_row():
    frame = load_families()
    assert set(frame["name"]) >= BOOK
    assert set(frame["branch"]) == {"encoder", "decoder", "encoder-decoder"}
    assert (frame["year"] >= 2022).sum() >= 20
    assert (frame["parameters"] > 0).all()


def test_rows_run_from_the_oldest_to_the_youngest_and_all_descend_from_the_transformer():
    frame = load_families()
    dates = list(zip(frame["year"], frame["month"], strict=True))
    assert dates == sorted(dates)
    assert [row.name for row in frame.itertuples(index=False) if not row.parents] == ["Transformer"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY.format(name="A", year=2019, branch="hybrid", parents="[]"), "branch 'hybrid'"),
        (ENTRY.format(name="A", year=2019, branch="decoder", parents='["Rot"]'), "parent 'Rot'"),
        (ENTRY.format(name="A", year=2016, branch="decoder", parents="[]"), "dated 2016-01"),
        (ENTRY.format(name="A", year=2018, branch="decoder", parents='["Root"]'), "not older"),
        (ENTRY.format(name="Root", year=2019, branch="decoder", parents="[]"), "called 'Root'"),
        (ENTRY.replace('source = "A paper"\n', "").format(
            name="A", year=2019, branch="decoder", parents="[]"), "needs the field 'source'"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused_with_its_name(tmp_path: Path, entry: str, message: str):
    path = tmp_path / "families.toml"
    path.write_text(ROOT + entry)
    with pytest.raises(ValueError, match=message):
        load_families(path)


def test_a_right_entry_is_read(tmp_path: Path):
    path = tmp_path / "families.toml"
    path.write_text(ENTRY.format(name="A", year=2019, branch="encoder", parents='["Root"]') + ROOT)
    assert list(load_families(path)["name"]) == ["Root", "A"]
    assert load_families(path).loc[1, "parents"] == ("Root",)


def test_counts_are_those_of_the_checkpoints(sizes):
    counted = (sizes.loc[list(MILLIONS), "counted"] / 1e6).round(1)
    assert counted.to_dict() == MILLIONS


def test_counts_agree_with_the_published_numbers(sizes):
    # Authors round to two digits and some leave out a head or positions; counting the embeddings
    # of GPT-2 twice, say, would already differ by 31 %.
    assert ((sizes["counted"] / sizes["published"] - 1).abs() < 0.03).all()


def test_variants_belong_to_models_of_the_table(sizes):
    assert set(sizes["model"]) <= set(load_families()["name"])
    assert sizes.groupby("branch").size().min() >= 2


def test_an_untied_output_layer_counts_and_a_tied_one_does_not():
    llama, gpt2 = (load_configurations()[name].build() for name in ("Llama 3 8B", "GPT-2"))
    added = count_parameters(llama, lm_head=True) - count_parameters(llama)
    assert added == llama.vocab_size * llama.hidden_size
    assert count_parameters(gpt2, lm_head=True) == count_parameters(gpt2)


def test_counting_leaves_the_default_device_alone():
    import torch

    count_parameters(load_configurations()["DistilBERT"].build())
    assert torch.ones(1).device.type == "cpu"


@pytest.mark.parametrize(("name", "heads"), [("GPT-2 XL", 25), ("GPT-3", 96)])
def test_twelve_d_squared_per_block_is_within_six_percent_of_the_whole(name, heads, sizes):
    config = load_configurations()[name].build()
    assert config.n_head == heads
    estimate = estimate_decoder_parameters(config.n_layer, config.n_embd)
    assert estimate == pytest.approx(sizes.loc[name, "counted"], rel=0.06)


def test_gpt_3_has_about_175_billion_parameters():
    estimate = estimate_decoder_parameters(num_layers=96, hidden_size=12288)
    assert estimate == pytest.approx(173.9e9, rel=1e-3)
    assert estimate == pytest.approx(175e9, rel=0.02)


def test_albert_saves_by_factorised_embeddings_and_by_shared_layers():
    variant = load_configurations()["ALBERT base"]
    config = variant.build()
    V, E, H = config.vocab_size, config.embedding_size, config.hidden_size
    unfactorised = type(config)(**{**variant.fields, "embedding_size": H})
    # the other tables of the embedding block and its layer norm grow with E too
    rest = (config.max_position_embeddings + config.type_vocab_size + 2) * (H - E) + H * H
    saved = count_parameters(unfactorised) - count_parameters(config)
    assert saved == V * H - (V * E + E * H) + rest
    twice_as_deep = type(config)(**{**variant.fields, "num_hidden_layers": 24})
    assert count_parameters(twice_as_deep) == count_parameters(config)

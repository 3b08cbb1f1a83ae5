"""The real converted models against an independent reader of their files."""

import importlib
import re
import shutil
import wave
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
)

from utils.assets.cache import MANIFEST, sha256
from utils.assets.catalog import load_catalog
from utils.assets.fetch import fetch, original
from utils.assets.models import checkpoint

Load = Callable[..., PreTrainedModel]

GERMAN_FRENCH_ITALIAN = {
    "Der Zug nach Hamburg fährt um acht Uhr ab.": "The train to Hamburg leaves at eight o'clock.",
    "Meine Großmutter backt jeden Sonntag Kuchen.": "My grandmother bakes cakes every Sunday.",
    "Die Regierung hat die Steuern gesenkt.": "The government has lowered taxes.",
    "Wir haben gestern das Auto verkauft.": "We sold the car yesterday.",
    "Le chat dort sur le canapé.": "The cat is sleeping on the sofa.",
    "Il pleut depuis trois jours à Bordeaux.": "It has been raining in Bordeaux for three days.",
    "Elle apprend à jouer du violon.": "She is learning to play the violin.",
    "Le médecin m'a conseillé de moins fumer.": "The doctor advised me to smoke less.",
    "Il museo è chiuso il lunedì.": "The museum is closed on Mondays.",
    "I bambini giocano a calcio nel parco.": "The children are playing football in the park.",
    "Ho dimenticato le chiavi in ufficio.": "I forgot my keys at the office.",
    "La squadra ha vinto la partita di ieri.": "The team won yesterday's match.",
}


@pytest.fixture(scope="module", autouse=True)
def parse_gguf_files_once() -> Iterator[None]:
    """Parsing takes longer than all the rest, and the libraries do it anew for each part."""
    parse = cache(gguf.GGUFReader)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gguf.GGUFReader", lambda path: parse(str(path)))
        yield


@pytest.fixture
def load() -> Load:
    """Load a model and require that every weight was in its file, and nothing else."""

    def load(role: str, auto_class: type = AutoModel, **arguments: object) -> PreTrainedModel:
        model, loading = auto_class.from_pretrained(
            checkpoint(role), output_loading_info=True, **arguments
        )
        assert not any(loading.values())
        return model.eval()

    return load


def onnx_outputs(path: Path, inputs: dict[str, np.ndarray], bias: str) -> np.ndarray:
    """What the graph computes where it adds the (last) weight called `bias`."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    outputs = [node.output[0] for node in model.graph.node if bias in node.input]
    value = onnx.helper.make_tensor_value_info(outputs[-1], onnx.TensorProto.FLOAT, None)
    model.graph.output.append(value)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([outputs[-1]], inputs)[0]


@pytest.mark.parametrize(
    "name", ["small_student", "multilingual", "causal_lm", "speech", "vision", "code"]
)
def test_the_cache_holds_what_the_converter_writes(name: str, tmp_path: Path) -> None:
    """If not, raise the version of the conversion in catalog.toml."""
    cached = fetch(name)
    packaged = load_catalog().assets[name].packaged
    converter = importlib.import_module(f"utils.assets.{packaged.conversion.format}")
    converter.convert({file: original(name, file) for file in packaged.originals}, tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert written | {MANIFEST} == {path.name for path in cached.iterdir()}
    assert all(sha256(tmp_path / file) == sha256(cached / file) for file in written)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size == pytest.approx(packaged.conversion.size, rel=0.01)
    shutil.rmtree(tmp_path)  # half a GB


def test_the_student_computes_what_its_onnx_graph_does(load: Load) -> None:
    model = load("small_student", add_pooling_layer=False)
    for texts in (
        ["Hi"],
        ["Knowledge distillation trains a small student to imitate a large teacher."],
        ["A short text.", "One that is longer, so that the other needs padding.", "x " * 200],
    ):
        inputs = tokens("small_student", texts)
        with torch.no_grad():
            ours = model(**inputs).last_hidden_state
        theirs = onnx_outputs(
            original("small_student", "paraphrase-MiniLM-L3-v2.onnx"),
            {name: inputs[name].numpy() for name in ("input_ids", "attention_mask")},
            "model.0.auto_model.encoder.layer.2.output.LayerNorm.bias",
        )
        mask = inputs["attention_mask"].bool()
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours[mask], theirs[mask.numpy()], atol=1e-4)


def test_the_student_shares_the_encoders_vocabulary() -> None:
    text = ["Tokenizing text is a core task of NLP."]
    student, encoder = tokens("small_student", text), tokens("encoder", text)
    assert student["input_ids"].tolist() == encoder["input_ids"].tolist()


def test_the_multilingual_tokenizer_is_xlm_rs() -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("multilingual"))
    assert tokenizer("Hello world").input_ids == [0, 35378, 8999, 2]
    pair = tokenizer("Hello world", "Hello world").input_ids
    assert pair == [0, 35378, 8999, 2, 2, 35378, 8999, 2]
    assert tokenizer.decode(pair, skip_special_tokens=True) == "Hello world Hello world"
    assert len(tokenizer) == 250_002
    ids = tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    assert ids == [0, 1, 2, 3, 250_001]


def test_translations_are_nearest_to_each_other(load: Load) -> None:
    model = load("multilingual", add_pooling_layer=False)
    foreign = embed(model, list(GERMAN_FRENCH_ITALIAN))
    english = embed(model, list(GERMAN_FRENCH_ITALIAN.values()))
    similarity = foreign @ english.T  # (B, B)
    assert similarity.argmax(dim=1).tolist() == list(range(len(GERMAN_FRENCH_ITALIAN)))
    assert model.num_parameters() == 117_505_920


def test_the_causal_lm_has_the_logits_of_its_gguf_file(load: Load) -> None:
    path = original("causal_lm", "SmolLM2-135M-Instruct.Q4_1.gguf")
    theirs = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()
    inputs = tokens("causal_lm", ["The capital of France is"])
    with torch.no_grad():
        ours = load("causal_lm", AutoModelForCausalLM)(**inputs).logits
        torch.testing.assert_close(ours, theirs(**inputs).logits, atol=1e-4, rtol=0)


def test_the_causal_lm_answers_in_its_chat_template(load: Load) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("causal_lm"))
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model = load("causal_lm", AutoModelForCausalLM)
    output = model.generate(**prompt, max_new_tokens=20, do_sample=False)
    answer = tokenizer.decode(output[0, prompt["input_ids"].shape[1] :])
    assert "Paris" in answer
    assert answer.endswith("<|im_end|>")


def test_speech_becomes_text(load: Load) -> None:
    with wave.open(str(fetch("speech_clip") / "beckett.wav")) as clip:
        assert clip.getparams()[:3] == (1, 2, 16_000)  # channels, bytes, Hz
        samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2") / 2**15
    processor = AutoProcessor.from_pretrained(checkpoint("speech"))
    features = processor(samples, sampling_rate=16_000, return_tensors="pt")
    ids = load("speech", AutoModelForSpeechSeq2Seq).generate(features.input_features)
    (text,) = processor.batch_decode(ids, skip_special_tokens=True)
    words = "ever tried ever failed no matter try again fail again fail better"
    assert re.findall(r"\w+", text.lower()) == words.split()


def test_the_image_encoder_computes_what_its_onnx_graph_does(load: Load) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    processor = AutoImageProcessor.from_pretrained(checkpoint("vision"))
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 224, 224)
    with torch.no_grad():
        ours = load("vision")(pixel_values=pixels).last_hidden_state  # (B, 1 + 16 * 16, D)
    theirs = onnx_outputs(
        original("vision", "vit_s_focus.onnx"),
        {"input_image": pixels.numpy()},
        "backbone.layernorm.bias",
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def tokens(role: str, texts: list[str]) -> BatchEncoding:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint(role))
    return tokenizer(texts, padding=len(texts) > 1, return_tensors="pt")


def embed(model: PreTrainedModel, texts: list[str]) -> torch.Tensor:
    """Normalised mean of the hidden states of each text (B, D)."""
    inputs = tokens("multilingual", [f"query: {text}" for text in texts])
    with torch.no_grad():
        hidden_states = model(**inputs).last_hidden_state  # (B, T, D)
    mask = inputs["attention_mask"].unsqueeze(-1)  # (B, T, 1)
    return torch.nn.functional.normalize((hidden_states * mask).sum(1) / mask.sum(1))

"""Models whose wheels hold 8 or 4 bits a weight, against ONNX Runtime on the files themselves."""

from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BatchEncoding,
)

from utils.assets.fetch import original
from utils.assets.models import checkpoint

QUERIES = {
    "what causes rain": "Rain falls when drops in a cloud become too heavy to stay in the air.",
    "who wrote the origin of species": "Charles Darwin published On the Origin of Species in 1859.",
    "how long do elephants live": "In the wild an African elephant reaches sixty or seventy years.",
    "capital of australia": "Canberra was founded in 1913 as the seat of Australia's government.",
    "how to boil an egg": "Put the egg into boiling water, wait for seven minutes, then cool it.",
}
LETTER = (
    "My name is Maria Keller, I live at 42 Oak Street, Portland, Oregon 97201. "
    "Please call me on (503) 555-0199 or write to office@example.com."
)


def outputs(path: Path, inputs: BatchEncoding) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return session.run(None, {name: inputs[name].numpy() for name in names})[0]


def test_the_reranker_orders_passages_as_its_graph_does() -> None:
    folder = checkpoint("reranker")
    pairs = list(product(QUERIES, list(QUERIES.values())[:4]))
    inputs = AutoTokenizer.from_pretrained(folder)(pairs, padding=True, return_tensors="pt")
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(info.values())
    with torch.no_grad():
        scores = model.eval()(**inputs).logits.numpy().reshape(5, 4)
    expected = outputs(original("reranker", "reranker_en-model.onnx"), inputs).reshape(5, 4)
    np.testing.assert_allclose(scores, expected, atol=0.5)  # the graph rounds activations, too
    assert scores[:4].argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert scores[:4].max(axis=1).min() > -1 > -5 > scores[4].max()


def test_states_of_the_retriever_point_where_those_of_its_graph_do() -> None:
    folder = checkpoint("dense_retriever")
    texts = [*QUERIES, *QUERIES.values()]
    inputs = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()(**inputs)[0]
    expected = torch.tensor(outputs(original("dense_retriever", "bge_small_en-model.onnx"), inputs))
    cosines = torch.nn.functional.cosine_similarity(states, expected, dim=-1)
    assert cosines[inputs["attention_mask"].bool()].min() > 0.99
    queries, passages = torch.nn.functional.normalize(states[:, 0]).split(5)
    assert (queries @ passages.T).argmax(dim=1).tolist() == [0, 1, 2, 3, 4]


def test_the_tagger_finds_personal_data_as_its_graph_does() -> None:
    folder = checkpoint("tagger")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(LETTER, return_tensors="pt")
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(**inputs).logits
    expected = outputs(original("tagger", "model_q4.onnx"), inputs)
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-4)
    tags = [model.config.id2label[tag] for tag in logits[0].argmax(dim=-1).tolist()]
    found = dict(zip(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]), tags, strict=True))
    assert (found["maria"], found["keller"]) == ("B-GIVEN_NAME", "B-SURNAME")
    assert (found["portland"], found["oregon"]) == ("B-CITY", "B-STATE")


def test_the_tokenizer_of_gpt2_is_gpt2s() -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("gpt2_tokenizer"))
    text = 'def say_hello():\n    print("Hello, World!") # Print it\n\nsay_hello()\n'
    pieces = (
        'def Ġsay _ hello (): ĊĠĠĠ Ġprint (" Hello , ĠWorld !") Ġ# ĠPrint Ġit Ċ Ċ say _ hello () Ċ'
    )
    words = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert [word for word, _ in words] == pieces.split()
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len(tokenizer(text).input_ids) == 26
    assert len(tokenizer) == 50_257
    assert tokenizer("Hello world<|endoftext|>").input_ids == [15496, 995, 50256]

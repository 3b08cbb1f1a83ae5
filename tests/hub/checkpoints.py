"""Tiny checkpoints of the book's architectures: random weights, a real tokenizer."""

import io
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sentencepiece
import torch
import transformers
from tokenizers import (
    BertWordPieceTokenizer,
    ByteLevelBPETokenizer,
    SentencePieceUnigramTokenizer,
)

from hub.server import Repository
from utils.assets.datasets import load

UNUSED = [f"[unused{number}]" for number in range(99)]
BERT_SPECIAL_TOKENS = ["[PAD]", *UNUSED, "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # ids 0 to 103
XLM_R_SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]  # ids 0 to 3; <mask> is the last one
WAV2VEC2_CHARACTERS = ["<pad>", "<s>", "</s>", "<unk>", *"|ETAONIHSRDLUMWCFGYPBVK'XJQZ"]

Files = dict[str, bytes]


def checkpoint(config: transformers.PreTrainedConfig, preprocessor: Files) -> Repository:
    """The first of the config's architectures with random weights, always the same."""
    architecture = getattr(transformers, config.architectures[0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = architecture(config)
    return Repository("model", _saved(model) | preprocessor)


@cache
def word_pieces() -> Files:
    """An uncased BERT tokenizer as on the hub: 2,000 pieces, trained on packaged questions."""
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        _questions(), vocab_size=2_000, special_tokens=BERT_SPECIAL_TOKENS, show_progress=False
    )
    vocabulary = tokenizer.get_vocab()
    settings = {"do_lower_case": True, "model_max_length": 512}
    return {
        "tokenizer.json": BertWordPieceTokenizer(vocabulary, lowercase=True).to_str().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
        "vocab.txt": "".join(f"{t}\n" for t in sorted(vocabulary, key=vocabulary.get)).encode(),
    }


def sentence_pieces() -> Files:
    """An XLM-R tokenizer of 2,000 pieces."""
    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(
        _questions(),
        vocab_size=1_999,
        special_tokens=XLM_R_SPECIAL_TOKENS,
        unk_token="<unk>",
        show_progress=False,
    )
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    vocabulary = [*map(tuple, pieces), ("<mask>", 0.0)]
    return _saved(transformers.XLMRobertaTokenizer(vocabulary, model_max_length=512))


def translator_pieces() -> Files:
    """Marian's two SentencePiece models, here the same, and their vocabulary of 2,001 pieces."""
    model = io.BytesIO()
    ids = {"eos_id": 0, "unk_id": 1, "bos_id": -1, "pad_id": -1}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_questions()), model_writer=model, vocab_size=2_000,
        minloglevel=2, **ids,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = {pieces.id_to_piece(id): id for id in range(2_000)} | {"<pad>": 2_000}
    settings = {"tokenizer_class": "MarianTokenizer", "model_max_length": 512}
    return {
        "source.spm": model.getvalue(),
        "target.spm": model.getvalue(),
        "vocab.json": json.dumps(vocabulary).encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }


def byte_pairs() -> Files:
    """A GPT-2 tokenizer of 2,000 pieces."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_questions(), vocab_size=1_999, show_progress=False)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"] | {"<|endoftext|>": 1_999}
    merges = [tuple(pair) for pair in model["merges"]]
    return _saved(transformers.GPT2Tokenizer(vocabulary, merges, model_max_length=1_024))


def chat_template() -> Files:
    """How a chat becomes one text, beside a tokenizer."""
    turns = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    return {"chat_template.jinja": (turns + "assistant: ").encode()}


def characters() -> Files:
    """The tokenizer of Wav2Vec2, and how it normalises sound of 16 kHz."""
    vocabulary = {character: id for id, character in enumerate(WAV2VEC2_CHARACTERS)}
    settings = {"do_normalize": True, "return_attention_mask": False}
    sound = settings | {"feature_size": 1, "padding_value": 0.0, "sampling_rate": 16_000}
    return {
        "preprocessor_config.json": json.dumps(sound).encode(),
        "tokenizer_config.json": json.dumps(settings | {"do_lower_case": False}).encode(),
        "vocab.json": json.dumps(vocabulary).encode(),
    }


def pixels() -> Files:
    """How ViT scales an image to 224 x 224."""
    mean = [0.5, 0.5, 0.5]
    settings = {"do_normalize": True, "do_resize": True, "image_mean": mean, "image_std": mean}
    return {"preprocessor_config.json": json.dumps(settings | {"size": 224}).encode()}


@cache
def _questions() -> list[str]:
    return load("short_texts")["train"]["text"][:]


def _saved(part: transformers.PreTrainedModel | transformers.PreTrainedTokenizerBase) -> Files:
    with TemporaryDirectory() as folder:
        part.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}

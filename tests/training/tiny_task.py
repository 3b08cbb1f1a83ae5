"""Texts of made-up words whose label is decided by one of them, and models of random weights."""

import random

import torch
import transformers
from datasets import ClassLabel, Dataset, Features, Value

from utils.training import DistillationTrainer, DistillationTrainingArguments

LABELS = ["lights", "heating", "music", "oos"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FILLERS = ["please", "now", "the", "in", "kitchen", "bath", "hall", "turn", "can", "you"]
KEYS = {"lights": ["lamp"], "heating": ["warm"], "music": ["song"], "oos": ["why", "who"]}
VOCABULARY = SPECIAL + FILLERS + [word for words in KEYS.values() for word in words]


def tiny_tokenizer():
    ids = {token: place for place, token in enumerate(VOCABULARY)}
    return transformers.BertTokenizer(vocab=ids, model_max_length=16)


def tiny_texts(num_texts, seed=0):
    rng = random.Random(seed)
    labels = [rng.choice(LABELS) for _ in range(num_texts)]
    texts = []
    for label in labels:
        words = [*rng.sample(FILLERS, k=rng.randint(1, 7)), rng.choice(KEYS[label])]
        rng.shuffle(words)
        texts.append(" ".join(words))
    features = Features({"text": Value("string"), "labels": ClassLabel(names=LABELS)})
    rows = {"text": texts, "labels": [LABELS.index(label) for label in labels]}
    return Dataset.from_dict(rows, features=features)


def encoded_texts(num_texts, seed=0):
    tokenizer = tiny_tokenizer()
    return tiny_texts(num_texts, seed).map(lambda rows: tokenizer(rows["text"]), batched=True)


def tiny_bert(num_layers=1, width=16, seed=0, **options):
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=width, num_hidden_layers=num_layers,
        num_attention_heads=2, intermediate_size=2 * width, max_position_embeddings=16,
        initializer_range=0.3, id2label=dict(enumerate(LABELS)),
        label2id={label: place for place, label in enumerate(LABELS)}, **options,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).eval()


def tiny_trainer(
    folder,
    trainer=DistillationTrainer,
    *,
    arguments=DistillationTrainingArguments,
    settings=None,
    **options,
):
    """A trainer on 64 texts for one epoch, evaluated on 32 others."""
    defaults = {
        "per_device_train_batch_size": 16, "num_train_epochs": 1, "learning_rate": 1e-3,
        "logging_strategy": "epoch", "eval_strategy": "epoch", "save_strategy": "no",
        "train_sampling_strategy": "group_by_length", "use_cpu": True, "seed": 0,
    }  # fmt: skip
    if "model_init" not in options:
        options.setdefault("model", tiny_bert())
    options.setdefault("train_dataset", encoded_texts(64))
    options.setdefault("eval_dataset", encoded_texts(32, seed=1))
    return trainer(
        args=arguments(folder, **defaults | (settings or {})),
        processing_class=tiny_tokenizer(),
        **options,
    )

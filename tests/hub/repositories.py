"""What the loopback hub serves: one line for each id in the catalogue.

A model is a small config and a tokenizer; a data set is a few rows with the columns and label names
that it has on the hub. `test_chapters.py` names the chapters that run on them.
"""

from collections.abc import Callable
from functools import cache

from transformers import (
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    ViTConfig,
    Wav2Vec2Config,
    XLMRobertaConfig,
)

from hub.checkpoints import (
    byte_pairs,
    characters,
    checkpoint,
    pixels,
    sentence_pieces,
    word_pieces,
)
from hub.server import Repository
from hub.tables import (
    articles,
    commands,
    converted_parquet,
    dialogues,
    emotions,
    entities,
    modules,
    news,
    parquet,
    questions,
)
from utils.assets.datasets import load

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
DISTILBERT = DistilBertConfig(
    architectures=["DistilBertForMaskedLM"],
    vocab_size=2_000,
    dim=32,
    n_layers=2,
    n_heads=2,
    hidden_dim=64,
)
BERT = BertConfig(architectures=["BertForPreTraining"], vocab_size=2_000, **SMALL)
XLM_R = XLMRobertaConfig(
    architectures=["XLMRobertaForMaskedLM"],
    vocab_size=2_000,
    max_position_embeddings=514,
    type_vocab_size=1,
    **SMALL,
)
GPT2 = GPT2Config(
    architectures=["GPT2LMHeadModel"],
    vocab_size=2_000,
    n_embd=32,
    n_layer=2,
    n_head=2,
    bos_token_id=1_999,
    eos_token_id=1_999,
)
LLAMA = LlamaConfig(
    architectures=["LlamaForCausalLM"],
    vocab_size=2_000,
    num_key_value_heads=1,
    bos_token_id=1_999,
    eos_token_id=1_999,
    tie_word_embeddings=True,
    **SMALL,
)
WAV2VEC2 = Wav2Vec2Config(
    architectures=["Wav2Vec2ForCTC"],
    vocab_size=32,
    conv_dim=[32] * 7,
    num_conv_pos_embedding_groups=4,
    **SMALL,
)
VIT = ViTConfig(architectures=["ViTForImageClassification"], num_labels=1_000, **SMALL)

HUB: dict[str, Callable[[], Repository]] = {
    "distilbert/distilbert-base-uncased": lambda: checkpoint(DISTILBERT, word_pieces()),
    "google-bert/bert-base-uncased": lambda: checkpoint(BERT, word_pieces()),
    "FacebookAI/xlm-roberta-base": lambda: checkpoint(XLM_R, sentence_pieces()),
    "openai-community/gpt2": lambda: checkpoint(GPT2, byte_pairs()),
    "openai-community/gpt2-xl": lambda: checkpoint(GPT2, byte_pairs()),
    "HuggingFaceTB/SmolLM2-135M-Instruct": lambda: checkpoint(LLAMA, byte_pairs()),
    "facebook/wav2vec2-base-960h": lambda: checkpoint(WAV2VEC2, characters()),
    "google/vit-base-patch16-224": lambda: checkpoint(VIT, pixels()),
    "dair-ai/emotion": lambda: parquet({"split": emotions()}),
    "CogComp/trec": lambda: converted_parquet(questions()),
    "cardiffnlp/tweet_eval": lambda: parquet({"sentiment": load("tweets")}),
    "wikimedia/wikipedia": lambda: parquet({"20231101.simple": articles()}),
    "abisee/cnn_dailymail": lambda: parquet({"3.0.0": news()}),
    "knkarthick/samsum": lambda: converted_parquet(dialogues()),
    "clinc/clinc_oos": lambda: parquet({"plus": commands()}),
    "google/xtreme": lambda: parquet(entities()),
    "codeparrot/codeparrot-clean-valid": lambda: converted_parquet(modules()),
}


@cache
def repository(id: str) -> Repository:
    """What the hub serves under `id`."""
    return HUB[id]()

"""What the loopback hub serves: one line for each id in the catalogue.

A model is a small config and a tokenizer; a data set is a few rows with the columns and label names
that it has on the hub. `test_chapters.py` names the chapters that run on them.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cache

from transformers import (
    BertConfig,
    DistilBertConfig,
    DPRConfig,
    GPT2Config,
    LlamaConfig,
    MarianConfig,
    PreTrainedConfig,
    ViTConfig,
    Wav2Vec2Config,
    XLMRobertaConfig,
)

from hub.checkpoints import (
    byte_pairs,
    characters,
    chat_template,
    checkpoint,
    pixels,
    sentence_pieces,
    translator_pieces,
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
    reviews,
    squad,
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
TAGGER = BertConfig(
    architectures=["BertForTokenClassification"],
    vocab_size=2_000,
    id2label=dict(enumerate(["O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG"])),
    **SMALL,
)
RERANKER = BertConfig(
    architectures=["BertForSequenceClassification"], vocab_size=2_000, num_labels=1, **SMALL
)
RETRIEVER = BertConfig(architectures=["BertModel"], vocab_size=2_000, **SMALL)


DPR = DPRConfig(vocab_size=2_000, **SMALL)


def under(config: PreTrainedConfig, architecture: str) -> PreTrainedConfig:
    """The same sizes under another head."""
    config = deepcopy(config)
    config.architectures = [architecture]
    return config


def labelled(config: PreTrainedConfig, names: list[str]) -> PreTrainedConfig:
    """The same sizes under a head that tells these classes apart."""
    config = under(config, "DistilBertForSequenceClassification")
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    return config


MARIAN = MarianConfig(
    architectures=["MarianMTModel"],
    vocab_size=2_001,
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=64,
    decoder_ffn_dim=64,
    pad_token_id=2_000,
    decoder_start_token_id=2_000,
    eos_token_id=0,
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
    "HuggingFaceTB/SmolLM2-135M-Instruct": lambda: checkpoint(
        LLAMA, byte_pairs() | chat_template()
    ),
    "Helsinki-NLP/opus-mt-en-de": lambda: checkpoint(MARIAN, translator_pieces()),
    "Helsinki-NLP/opus-mt-de-en": lambda: checkpoint(MARIAN, translator_pieces()),
    "dbmdz/bert-large-cased-finetuned-conll03-english": lambda: checkpoint(TAGGER, word_pieces()),
    "cross-encoder/ms-marco-MiniLM-L12-v2": lambda: checkpoint(RERANKER, word_pieces()),
    "BAAI/bge-small-en-v1.5": lambda: checkpoint(RETRIEVER, word_pieces()),
    "facebook/dpr-question_encoder-single-nq-base": lambda: checkpoint(
        under(DPR, "DPRQuestionEncoder"), word_pieces()
    ),
    "facebook/dpr-ctx_encoder-single-nq-base": lambda: checkpoint(
        under(DPR, "DPRContextEncoder"), word_pieces()
    ),
    "distilbert/distilbert-base-cased-distilled-squad": lambda: checkpoint(
        under(DISTILBERT, "DistilBertForQuestionAnswering"), word_pieces()
    ),
    "deepset/minilm-uncased-squad2": lambda: checkpoint(
        under(BERT, "BertForQuestionAnswering"), word_pieces()
    ),
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": lambda: checkpoint(
        labelled(DISTILBERT, ["NEGATIVE", "POSITIVE"]), word_pieces()
    ),
    "facebook/wav2vec2-base-960h": lambda: checkpoint(WAV2VEC2, characters()),
    "google/vit-base-patch16-224": lambda: checkpoint(VIT, pixels()),
    "dair-ai/emotion": lambda: parquet({"split": emotions()}),
    "CogComp/trec": lambda: converted_parquet(questions()),
    "cardiffnlp/tweet_eval": lambda: parquet({"sentiment": load("tweets")}),
    "wikimedia/wikipedia": lambda: parquet({"20231101.simple": articles()}),
    "abisee/cnn_dailymail": lambda: parquet({"3.0.0": news()}),
    "rajpurkar/squad": lambda: parquet({"plain_text": squad()}),
    "stanfordnlp/imdb": lambda: parquet({"plain_text": reviews()}),
    "knkarthick/samsum": lambda: converted_parquet(dialogues()),
    "clinc/clinc_oos": lambda: parquet({"plus": commands()}),
    "google/xtreme": lambda: parquet(entities()),
    "codeparrot/codeparrot-clean-valid": lambda: converted_parquet(modules()),
}


@cache
def repository(id: str) -> Repository:
    """What the hub serves under `id`."""
    return HUB[id]()

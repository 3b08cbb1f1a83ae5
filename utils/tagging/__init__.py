"""Token classification in any language: labels of words on tokens, entities, and where they fail.

    encoded = dataset.map(tokenize_and_align_labels, batched=True, fn_kwargs=...)
    output = trainer.predict(encoded)
    predicted, gold = align_predictions(output.predictions, output.label_ids, names)
    entity_report(gold, predicted)

Raw text goes in at one call, and shows its entities in a notebook:

    tag_text("Jeff Dean works for Google in California", model, tokenizer)
"""

from utils.tagging.alignment import (
    align_labels,
    align_predictions,
    encode_words,
    tokenize_and_align_labels,
)
from utils.tagging.errors import TaggingError
from utils.tagging.gazetteer import Gazetteer
from utils.tagging.gold import ENTITY_TAGS, gold_sentences
from utils.tagging.losses import loss_table, sentence_losses, token_losses
from utils.tagging.metrics import (
    Interval,
    Span,
    entities,
    entity_report,
    f1_difference,
    f1_interval,
    iob2_violations,
)
from utils.tagging.model import IGNORED, EncoderForTokenClassification, TokenClassifierConfig
from utils.tagging.sentences import split_sentences
from utils.tagging.text import Entity, TaggedText, tag_text

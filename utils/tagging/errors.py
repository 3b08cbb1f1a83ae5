"""What can go wrong in tagging, in a sentence that says what to do."""


class TaggingError(ValueError):
    """Words, tags, logits or a text that do not fit together."""

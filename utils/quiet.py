"""Silence for libraries that announce what we decided."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NEW_HEADS = ("classifier.", "pre_classifier.", "score.", "qa_outputs.")
OLD_HEADS = ("vocab_", "cls.", "lm_head.", "pooler.", "bert.pooler.", "roberta.pooler.")
ANSI_CODE = re.compile(r"\x1b\[[0-9;]*m")


def quiet_libraries() -> None:
    """From now on no bars for loading weights or mapping rows, no load report; warnings stay."""
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("transformers.modeling_utils").addFilter(_is_no_change_of_head)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Inside, neither bars of transformers nor a report of weights that are new or left over."""
    from transformers.utils import logging as library

    verbosity, has_bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(verbosity)
        if has_bars:
            library.enable_progress_bar()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Inside, neither warnings nor log messages below an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _is_no_change_of_head(record: logging.LogRecord) -> bool:
    """Whether to let a log record pass: all but load reports on nothing but a change of heads.

    A new head, in place of the one for masked words, is expected; notebooks show it through
    `output_loading_info=True`.
    """
    message = record.getMessage()
    if "LOAD REPORT" not in message:
        return True
    rows = re.findall(r"^(\S+) +\| (\w+)", ANSI_CODE.sub("", message), flags=re.MULTILINE)[1:]
    return not all(
        (status == "MISSING" and key.startswith(NEW_HEADS))
        or (status == "UNEXPECTED" and key.startswith(OLD_HEADS))
        for key, status in rows
    )

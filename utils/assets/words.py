"""Where the words of a text are, alike for data sets and for what reads them."""

import re

TOKEN = re.compile(r"\w+|[^\w\s]")  # a word, or a single mark

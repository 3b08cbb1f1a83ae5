"""Where the words of a text are, alike for data sets and for what reads them."""

import regex

# A word with its combining marks (of Hindi, or of vocalised Arabic), or a single sign.
TOKEN = regex.compile(r"(?!\p{M})[\w\p{N}]+|\S")

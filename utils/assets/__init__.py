"""Models and data sets: from PyPI wheels used as data containers, or from the hub."""

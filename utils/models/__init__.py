"""Transformers from scratch, each equal to the library in a test."""

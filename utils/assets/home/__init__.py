"""Data sets of commands to a smart home, which people wrote as templates."""

"""What is wrong with a measurement that was asked for."""


class BenchmarkError(ValueError):
    """A measurement that cannot be made as asked for."""

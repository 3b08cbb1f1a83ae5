"""What is wrong with a measurement that was asked for."""


class BenchmarkError(ValueError):
    """A measurement that cannot be made as asked for."""


def check_count(**counts: int) -> None:
    """Raise BenchmarkError for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise BenchmarkError(f"{name} is {count}: give 1 or more.")

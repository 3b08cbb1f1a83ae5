"""The command `python -m utils.benchmarking` and its benchmarks, one module each.

A benchmark's function `run(*, rounds=..., threads=1, assets="packaged")` returns its results by
case ("16 tokens", "64 tokens"): a `Comparison`, or a DataFrame of numbers. `records.BENCHMARKS`
lists them.
"""

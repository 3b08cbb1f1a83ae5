"""The benchmarks of `python -m utils.benchmarking`, one module each.

The first line of a module's docstring is its title. Its function
`run(*, rounds=..., threads=1, assets="packaged")` returns a dict of `utils.benchmarking.Comparison`
by case ("16 tokens", "64 tokens"), or of `PerformanceTable` where it measures whole systems. A
module in this folder is found by its name.
"""

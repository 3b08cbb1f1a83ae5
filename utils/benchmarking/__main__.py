"""`python -m utils.benchmarking`: the command lives above, in `utils.benchmarks`."""

from utils.benchmarks.cli import app

if __name__ == "__main__":
    app(prog_name="python -m utils.benchmarking")

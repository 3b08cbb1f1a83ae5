"""`python -m utils.benchmarking`."""

from utils.benchmarking.cli import app

if __name__ == "__main__":
    app(prog_name="python -m utils.benchmarking")

"""Run the notebooks: `python -m utils.runner` (see `utils.runner.cli`)."""

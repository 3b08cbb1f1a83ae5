"""Code behind the notebooks: assets, plotting, benchmarking, models, training and the runner."""

"""`python -m utils.runner`."""

import signal

from utils.runner.cli import app

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled job stops like Ctrl-C
    app(prog_name="python -m utils.runner")

"""`python -m bench.serve` is `rungraph serve`."""

import sys

from graph.cli import app

if __name__ == "__main__":
    sys.argv[1:] = ["serve"]
    app()

"""`python -m rungraph push`: sends what scripts left on the disk while the server was unavailable."""

from __future__ import annotations

import sys

from .connection import Connection, Unavailable
from .delivery import Delivery
from .sender import send_orphans
from .settings import Settings

_USAGE = "usage: python -m rungraph push"


def main(arguments: list[str]) -> int:
    """The exit code: 1 if the server is unavailable or refused something, 2 for wrong arguments."""
    if arguments != ["push"]:
        print(_USAGE, file=sys.stderr)
        return 2
    settings = Settings()
    if settings.problem:
        print(settings.problem, file=sys.stderr)
        return 2
    warnings: list[str] = []
    connection = Connection(settings.url, lambda: settings.token, lambda seconds: None)
    delivery = Delivery(connection, warnings.append, lambda: None)
    try:
        count = send_orphans(settings, delivery)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    for warning in dict.fromkeys(warnings):
        print(warning, file=sys.stderr)
    print(f"sent {count} records to {settings.url}")
    return 1 if warnings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

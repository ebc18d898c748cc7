"""`python -m rungraph push`: sends what scripts left on the disk while the server was unavailable."""

from __future__ import annotations

import json
import os
import sys

from .connection import Connection, Unavailable
from .delivery import Delivery
from .errors import kind_of
from .sender import send_orphans
from .settings import Settings, without_password
from .spool import SUFFIX

_USAGE = "usage: python -m rungraph push [--json]"


def main(arguments: list[str]) -> int:
    """The exit code: 1 if the server is unavailable or refused something, or the files cannot be read; 2 for
    wrong arguments."""
    if arguments not in (["push"], ["push", "--json"]):
        print(_USAGE, file=sys.stderr)
        return 2
    settings = Settings()
    if settings.problem:
        print(settings.problem, file=sys.stderr)
        return 2
    warnings: dict[str, str] = {}
    connection = Connection(settings.url, lambda: settings.token, lambda seconds: None)

    def warn(text: str) -> None:
        warnings.setdefault(kind_of(text), text)

    delivery = Delivery(connection, warn, lambda: None)
    try:
        _check(settings)
        count = send_orphans(settings, delivery)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot read {error.filename or settings.spool_folder}: {error.strerror}", file=sys.stderr)
        return 1
    url = without_password(settings.url)
    if "--json" in arguments:
        print(json.dumps({"sent": count, "url": url, "refused": list(warnings.values())}))
        return 1 if warnings else 0
    for warning in warnings.values():
        print(warning, file=sys.stderr)
    print(f"sent {count} record{'' if count == 1 else 's'} to {url}")
    if not count and (others := _other_files(settings)):
        files = "1 file is" if others == 1 else f"{others} files are"
        print(f"{files} for other addresses: set RUNGRAPH_URL", file=sys.stderr)
    return 1 if warnings else 0


def _check(settings: Settings) -> None:
    """Raises OSError if the folder exists and cannot be read, or is none."""
    try:
        os.listdir(settings.spool_folder)
    except FileNotFoundError:
        pass


def _other_files(settings: Settings) -> int:
    """How many files were recorded for other addresses."""
    return len(list(settings.spool_folder.parent.glob(f"*/*{SUFFIX}")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m bench.serve`: `rungraph serve` that can also measure how long its event loop is blocked."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from bench.blocked import VARIABLE, Note
from graph.cli.main import app
from graph.transport.server import Server


def _note_blocks(note: Note) -> None:
    startup = Server.startup

    async def start(self: Server, *given: Any, **named: Any) -> None:
        await startup(self, *given, **named)
        self.noting = asyncio.create_task(note.keep())  # type: ignore[attr-defined]

    Server.startup = start  # type: ignore[method-assign]


if __name__ == "__main__":
    if VARIABLE in os.environ:
        _note_blocks(Note(Path(os.environ[VARIABLE])))
    sys.argv[1:] = ["serve"]
    app()

"""`python -m bench.serve`: `rungraph serve` that can also measure how long its event loop is blocked."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from bench.blocked import VARIABLE, BlockRecorder
from graph.cli.main import app
from graph.transport.server import Server


def _record_blocks(recorder: BlockRecorder) -> None:
    startup = Server.startup

    async def start(self: Server, *arguments: Any, **options: Any) -> None:
        await startup(self, *arguments, **options)
        self.recording = asyncio.create_task(recorder.keep())  # type: ignore[attr-defined]

    Server.startup = start  # type: ignore[method-assign]


if __name__ == "__main__":
    if VARIABLE in os.environ:
        _record_blocks(BlockRecorder(Path(os.environ[VARIABLE])))
    sys.argv[1:] = ["serve"]
    app()

"""Measures how long a server's event loop is blocked, with a task that should run every 5 ms."""

import asyncio
import mmap
import struct
import time
from pathlib import Path

VARIABLE = "RUNGRAPH_BENCH_BLOCKED_FILE"
"""The environment variable that names the server's output file."""

_EVERY = 0.005
_TWO = struct.Struct("dd")


class BlockRecorder:
    """The longest blocks, in a file mapped by the server and the benchmark."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_TWO.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TWO.size)

    def take(self) -> tuple[float, float]:
        """The longest block of the loop and the most CPU time within one, in seconds; resets both."""
        found: tuple[float, float] = _TWO.unpack(self._memory[:])
        self._memory[:] = bytes(_TWO.size)
        return found

    async def keep(self) -> None:
        """Measures for as long as this loop runs."""
        began, used = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(_EVERY)
            now, now_used = time.monotonic(), time.thread_time()
            longest, most = _TWO.unpack(self._memory[:])
            self._memory[:] = _TWO.pack(max(longest, now - began - _EVERY), max(most, now_used - used))
            began, used = now, now_used

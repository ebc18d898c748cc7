"""Owns how long the event loop of a server is blocked, by a task in it that wants to run every 5 ms."""

import asyncio
import mmap
import struct
import time
from pathlib import Path

VARIABLE = "RUNGRAPH_BENCH_BLOCKED_FILE"
"""Names the file that a server notes it in."""

_EVERY = 0.005
_TWO = struct.Struct("dd")


class Note:
    """The longest times, in a file that both the server and who measures have in their memory."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_TWO.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TWO.size)

    def take(self) -> tuple[float, float]:
        """The longest time that the loop was blocked, and the most processor time that it used meanwhile, in
        seconds; from here on it is noted anew."""
        found: tuple[float, float] = _TWO.unpack(self._memory[:])
        self._memory[:] = bytes(_TWO.size)
        return found

    async def keep(self) -> None:
        """Note it for as long as this loop runs."""
        began, used = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(_EVERY)
            now, now_used = time.monotonic(), time.thread_time()
            longest, most = _TWO.unpack(self._memory[:])
            self._memory[:] = _TWO.pack(max(longest, now - began - _EVERY), max(most, now_used - used))
            began, used = now, now_used

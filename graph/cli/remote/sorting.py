"""Sorts more objects than memory should hold: parts of them, which are sorted, wait in a temporary file."""

import heapq
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

PART = 5_000
"""Objects that are kept in memory, before they go to the file."""
_BLOCK = 64 * 1024

Json = dict[str, Any]


class Sorted:
    """Objects of JSON, in the order of a key, and then in that in which they were added."""

    def __init__(self, key: Callable[[Json], str]) -> None:
        self._key = key
        self._last: list[Json] = []
        self._file = tempfile.TemporaryFile()
        self._parts: list[tuple[int, int]] = []
        """Where each part begins and ends."""

    def add(self, objects: list[Json]) -> None:
        """Adds objects. Raises OSError if there is no room for them."""
        self._last += objects
        if len(self._last) >= PART:
            start = self._file.seek(0, os.SEEK_END)
            self._file.writelines(
                f"{json.dumps(each)}\n".encode() for each in sorted(self._last, key=self._key)
            )
            self._file.flush()
            self._parts.append((start, self._file.tell()))
            self._last.clear()

    def __iter__(self) -> Iterator[Json]:
        parts = [self._read(*part) for part in self._parts]
        return heapq.merge(*parts, sorted(self._last, key=self._key), key=self._key)

    def _read(self, start: int, end: int) -> Iterator[Json]:
        rest = b""
        while start < end:
            block = os.pread(self._file.fileno(), min(_BLOCK, end - start), start)
            start += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from map(json.loads, lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

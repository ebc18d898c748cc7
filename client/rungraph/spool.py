"""Records on disk: what the server has not acknowledged yet, a file for each process, oldest first.

A file is locked as long as its process lives; the files of processes that have ended are sent by others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

Record = tuple[str, bytes]
"""A kind, and JSON without line ends."""
_STALE_SECONDS = 3600
SUFFIX = ".spool"


class Spool:
    """A queue of records in a file, which is created with the first record. Callers hold a lock."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._file: FileIO | None = None
        self.path: Path | None = None
        self.start = 0
        """The position of the first record that is not acknowledged."""
        self.end = 0

    @classmethod
    def adopt(cls, path: Path) -> Spool | None:
        """The spool of a process that has ended; None while it is in use."""
        spool = cls(path.parent, 0)
        try:
            file = FileIO(str(path), "r+")
        except OSError:
            return None
        if not _lock(file, path) or not path.exists():
            file.close()
            return None
        spool._file, spool.path, spool.end = file, path, os.fstat(file.fileno()).st_size
        return spool

    def append(self, records: list[Record]) -> bool:
        """Whether there was room for them. Raises OSError if the disk is full or not writable."""
        data = b"".join([b"%s\t%s\n" % (kind.encode(), body) for kind, body in records])
        if self.end + len(data) > self._limit:
            return False
        if self._file is None:
            self._file = self._create()
        self._file.seek(self.end)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.end += len(data)
        return True

    def _create(self) -> FileIO:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{time.time_ns()}-{os.getpid()}-{os.urandom(3).hex()}"
        self.path = self._folder / (name + SUFFIX)
        descriptor = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600
        )
        file = FileIO(descriptor, "r+")
        _lock(file, self.path)
        return file

    def peek(self, limit: int) -> tuple[list[Record], int]:
        """The first records, up to so many bytes but at least one, and the position after them."""
        if self._file is None or self.start >= self.end:
            return [], self.end
        size = min(self.end - self.start, limit)
        self._file.seek(self.start)
        data = self._file.read(size)
        while b"\n" not in data and self.start + len(data) < self.end:
            if not (more := self._file.read(limit)):
                break
            data += more
        whole, _, _ = data.rpartition(b"\n")
        if not whole:  # the process ended while it wrote its last record
            return [], self.end
        records = []
        for line in whole.split(b"\n"):
            kind, tab, body = line.partition(b"\t")
            if tab:
                records.append((kind.decode("ascii", "replace"), body))
        return records, self.start + len(whole) + 1

    def advance(self, position: int) -> None:
        """Forgets the records before the position."""
        self.start = max(self.start, position)
        if self.start >= self.end and self._file is not None:
            self._file.truncate(0)
            self.start = self.end = 0

    def is_empty(self) -> bool:
        return self.start >= self.end

    def close(self) -> None:
        """Releases the file, and removes it if it is empty. What is acknowledged is not sent again unless
        the file has other records too."""
        if self._file is not None:
            if self.is_empty() and self.path is not None:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
        self.start = self.end = 0

    def abandon(self) -> None:
        """In a forked child: leaves the file, and its lock, to the parent process."""
        if self._file is not None:
            self._file.close()
            self._file = None


def orphans(folder: Path) -> Iterator[Spool]:
    """The spools of processes that have ended, oldest first; each is to be closed."""
    try:
        paths = sorted(folder.glob("*" + SUFFIX))
    except OSError:
        return
    for path in paths:
        if (spool := Spool.adopt(path)) is not None:
            yield spool


def _lock(file: FileIO, path: Path) -> bool:
    if sys.platform == "win32":  # has no such locks: files are taken over once they are old
        try:
            return time.time() - path.stat().st_mtime > _STALE_SECONDS
        except OSError:
            return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

"""A wall clock of other processes, moved while they run by libfaketime. Their monotonic clock stays the
system's."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOUR = 3600


class FakeClock:
    """The clock of processes started with `environment`."""

    def __init__(self, folder: Path) -> None:
        library = find_library()
        assert library is not None, "libfaketime is not installed: run `python tests/prepare.py`"
        self._file = folder / "clock"
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def jump(self, seconds: int) -> None:
        """Sets the offset to the system's clock."""
        # Effective at once: processes read the file each time they read the clock.
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)


@contextmanager
def fake_clock() -> Iterator[FakeClock]:
    """A clock with the system's time until it is moved."""
    with tempfile.TemporaryDirectory(prefix="rungraph-clock-") as folder:
        Path(folder).chmod(0o755)  # the database runs as another user
        yield FakeClock(Path(folder))


def find_library() -> Path | None:
    """The path of libfaketime, or None."""
    if path := os.environ.get("RUNGRAPH_TEST_FAKETIME"):
        return Path(path)
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None

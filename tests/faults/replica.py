"""A server process that mishaps happen to: it dies between a commit and its bell, or hears bells badly.

`python -m tests.faults.replica serve` is `rungraph serve`. Which mishap there is stands in a file, so that
it comes and goes without a restart.
"""

import asyncio
import os
import random
import signal
from pathlib import Path

from graph.cli import app
from repo.bus import Bus, PostgresBackend, RedisBackend

MISHAP_FILE = "RUNGRAPH_TEST_MISHAP_FILE"
DIES = "dies after every 25th commit"
MISHEARS = "loses half of the bells, hears some twice, and others late"
_DIES_OF = 1 / 25
_LATEST = 0.5
"""Seconds by which a bell comes late, at the most: others overtake it."""


def expect_mishaps(path: Path) -> None:
    """Do what stands in the file, with a chance that is the same for the same file's name."""
    chance = random.Random(path.name)
    rings = Bus.ring

    def ring(bus: Bus) -> None:
        # It is called after the commit, and before anything else is.
        if path.read_text() == DIES and chance.random() < _DIES_OF:
            os.kill(os.getpid(), signal.SIGKILL)
        rings(bus)

    setattr(Bus, "ring", ring)  # noqa: B010 - types know no mishaps

    for backend in (PostgresBackend, RedisBackend):
        _mishear(backend, path, chance)


def _mishear(backend: type[PostgresBackend | RedisBackend], path: Path, chance: random.Random) -> None:
    hears = backend._hear

    def hear(self: PostgresBackend | RedisBackend) -> None:
        if path.read_text() != MISHEARS:
            return hears(self)
        match chance.randrange(8):
            case 0 | 1:
                hears(self)
            case 2:
                hears(self)
                hears(self)
            case 3:
                asyncio.get_running_loop().call_later(chance.uniform(0, _LATEST), hears, self)
        return None

    setattr(backend, "_hear", hear)  # noqa: B010


if __name__ == "__main__":
    expect_mishaps(Path(os.environ[MISHAP_FILE]))
    app()

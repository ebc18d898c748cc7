"""A server process that mishaps happen to: it dies between a commit and its bell or over an abort, or hears
bells badly.

`python -m tests.faults.replica serve` is `rungraph serve`. Which mishap there is stands in a file, so that
it comes and goes without a restart.
"""

import asyncio
import os
import random
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from graph.aborts import reconciler
from graph.aborts.webhook import Webhook
from graph.cli.main import app
from repo import AbortState, Action, ActionRepo, Taken
from repo.watch.bus import Bus, PostgresBackend, RedisBackend

MISHAP_FILE = "RUNGRAPH_TEST_MISHAP_FILE"
HOLD = "RUNGRAPH_TEST_HOLD"
"""Seconds by which an abort is held longer than a call takes, where a test cannot wait for the usual ones."""
DIES = "dies after every 25th commit"
MISHEARS = "loses half of the bells, hears some twice, and others late"
_DIES_OF = 1 / 25
DIES_OVER_ABORTS = {
    "dies when it has taken aborts": 0.3,
    "dies before it tells of an abort": 0.05,
    "dies while it tells of an abort": 0.05,
    "dies when it has told of an abort": 0.05,
    "dies when it has noted what came of an abort": 0.05,
}
"""Phases of an abort, and how likely it dies in one."""
_LATEST = 0.5
"""Seconds by which a bell comes late, at the most: others overtake it."""


def expect_mishaps(path: Path) -> None:
    """Do what stands in the file, with a chance that is the same for the same file's name."""
    chance = random.Random(path.name)
    rings = Bus.notify

    def ring(bus: Bus) -> None:
        # It is called after the commit, and before anything else is.
        if path.read_text() == DIES and chance.random() < _DIES_OF:
            os.kill(os.getpid(), signal.SIGKILL)
        rings(bus)

    setattr(Bus, "notify", ring)  # noqa: B010 - types know no mishaps

    for backend in (PostgresBackend, RedisBackend):
        _mishear(backend, path, chance)
    _die_over_aborts(path, chance)
    if HOLD in os.environ:
        reconciler._LONGER_THAN_A_CALL = timedelta(seconds=float(os.environ[HOLD]))


def _die_over_aborts(path: Path, chance: random.Random) -> None:
    taken, before, during, told, noted = DIES_OVER_ABORTS

    def may_die(phase: str, later: float = 0.0) -> None:
        if path.read_text() == phase and chance.random() < DIES_OVER_ABORTS[phase]:
            if later:
                asyncio.get_running_loop().call_later(later, os.kill, os.getpid(), signal.SIGKILL)
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    take, notify = ActionRepo.take_aborts, Webhook.notify
    clear, note = ActionRepo.clear_abort_request, ActionRepo.note_abort_failure

    async def taking(self: ActionRepo, *given: Any) -> Taken:
        if len(found := await take(self, *given)):
            may_die(taken)
        return found

    async def notifying(self: Webhook, action: Action, at: datetime) -> None:
        may_die(before)
        may_die(during, chance.uniform(0.001, 0.05))
        try:
            await notify(self, action, at)
        finally:
            may_die(told)

    async def clearing(self: ActionRepo, *given: Any) -> None:
        await clear(self, *given)
        may_die(noted)

    async def noting(self: ActionRepo, *given: Any) -> AbortState | None:
        state = await note(self, *given)
        may_die(noted)
        return state

    for where, name, instead in (
        (ActionRepo, "take_aborts", taking),
        (Webhook, "notify", notifying),
        (ActionRepo, "clear_abort_request", clearing),
        (ActionRepo, "note_abort_failure", noting),
    ):
        setattr(where, name, instead)


def _mishear(backend: type[PostgresBackend | RedisBackend], path: Path, chance: random.Random) -> None:
    hears = backend.receive

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

    setattr(backend, "receive", hear)  # noqa: B010


if __name__ == "__main__":
    expect_mishaps(Path(os.environ[MISHAP_FILE]))
    app()

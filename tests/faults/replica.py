"""A server process with injected faults: it dies between a commit and its notification or during an abort,
or receives notifications unreliably.

`app` is `rungraph`. The current fault is in a file, so that it can
change without a restart.
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
from graph.cli import main
from repo import AbortState, Action, DueAborts
from repo.aborts.aborts import Aborts
from repo.watch.bus import Bus, PostgresBackend, RedisBackend

FAULT_FILE = "RUNGRAPH_TEST_FAULT_FILE"
HOLD = "RUNGRAPH_TEST_HOLD"
"""Seconds by which a claim on an abort outlasts the timeout of a call, for tests that cannot wait for the
default."""
DIES = "dies after every 25th commit"
UNRELIABLE = "loses half of the notifications, and duplicates or delays others"
_DEATH_PROBABILITY = 1 / 25
ABORT_DEATHS = {
    "dies after claiming aborts": 2,
    "dies before notifying the executor": 10,
    "dies while notifying the executor": 10,
    "dies after notifying the executor": 10,
    "dies after storing the result of an abort": 10,
}
"""The points of an abort; a process dies at one of the first times that it reaches the point, so many at
most."""
_MAX_DELAY = 0.5
"""The maximum delay of a notification in seconds; others overtake it."""


def inject_faults(path: Path) -> None:
    """Injects the fault that is named in the file; random, but seeded by the file's name."""
    chance = random.Random(path.name)
    notify = Bus.notify

    def notify_or_die(bus: Bus) -> None:
        # Called immediately after the commit.
        if path.read_text() == DIES and chance.random() < _DEATH_PROBABILITY:
            os.kill(os.getpid(), signal.SIGKILL)
        notify(bus)

    setattr(Bus, "notify", notify_or_die)  # noqa: B010

    for backend in (PostgresBackend, RedisBackend):
        _make_unreliable(backend, path, chance)
    _die_during_aborts(path, chance)
    if HOLD in os.environ:
        reconciler.LEASE_MARGIN = timedelta(seconds=float(os.environ[HOLD]))


def _die_during_aborts(path: Path, chance: random.Random) -> None:
    claimed, before, during, after, stored = ABORT_DEATHS

    left = {phase: chance.randint(1, most) for phase, most in ABORT_DEATHS.items()}

    def may_die(phase: str, later: float = 0.0) -> None:
        if path.read_text() != phase:
            return
        left[phase] -= 1
        if left[phase] == 0:
            if later:
                asyncio.get_running_loop().call_later(later, os.kill, os.getpid(), signal.SIGKILL)
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    take, notify = Aborts.claim, Webhook.notify
    clear, note = Aborts.confirm, Aborts.record_failure

    async def taking(self: Aborts, *arguments: Any) -> DueAborts:
        if len(found := await take(self, *arguments)):
            may_die(claimed)
        return found

    async def notifying(self: Webhook, action: Action, at: datetime) -> None:
        may_die(before)
        may_die(during, chance.uniform(0.001, 0.05))
        try:
            await notify(self, action, at)
        finally:
            may_die(after)

    async def clearing(self: Aborts, *arguments: Any) -> None:
        await clear(self, *arguments)
        may_die(stored)

    async def noting(self: Aborts, *arguments: Any) -> AbortState | None:
        state = await note(self, *arguments)
        may_die(stored)
        return state

    for where, name, instead in (
        (Aborts, "claim", taking),
        (Webhook, "notify", notifying),
        (Aborts, "confirm", clearing),
        (Aborts, "record_failure", noting),
    ):
        setattr(where, name, instead)


def _make_unreliable(
    backend: type[PostgresBackend | RedisBackend], path: Path, chance: random.Random
) -> None:
    receive = backend.receive

    def receive_unreliably(self: PostgresBackend | RedisBackend) -> None:
        if path.read_text() != UNRELIABLE:
            return receive(self)
        match chance.randrange(8):
            case 0 | 1:
                receive(self)
            case 2:
                receive(self)
                receive(self)
            case 3:
                asyncio.get_running_loop().call_later(chance.uniform(0, _MAX_DELAY), receive, self)
        return None

    setattr(backend, "receive", receive_unreliably)  # noqa: B010


def app() -> None:
    """`rungraph` with the faults of the environment."""
    inject_faults(Path(os.environ[FAULT_FILE]))
    main.app()

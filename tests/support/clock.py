"""Owns the clock that tests move: time passes when a test says so, and never before it is ready for that."""

import math
import time
from datetime import UTC, datetime

import pytest

import repo.credentials
from graph.auth import authentication, oidc

HOUR = 3600.0


class Clock:
    """Stands in for the `time` of a module: it stands still but for what the test says."""

    def __init__(self) -> None:
        # Whole seconds: of sums with them nothing is rounded.
        self._began, self._ticks = math.ceil(time.time()), math.ceil(time.monotonic())
        self._ahead = 0.0

    def forward(self, seconds: float) -> None:
        """So much time passes at once."""
        self._ahead += seconds

    def time(self) -> float:
        return self._began + self._ahead

    def monotonic(self) -> float:
        return self._ticks + self._ahead

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


def movable(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that says from now on whether what somebody shows has expired: a stored credential, a session
    or a token of a provider. Servers that run in this process go by it, too."""
    clock = Clock()
    for module in (authentication, oidc):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(repo.credentials, "_now", clock.now)
    return clock

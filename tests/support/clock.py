"""A clock that stands still until a test moves it."""

import math
import time
from datetime import UTC, datetime

import pytest

import repo.credentials
from graph.auth import authentication, oidc

HOUR = 3600.0


class Clock:
    """Replaces the `time` module in a module; stands still unless moved."""

    def __init__(self) -> None:
        # Whole seconds, so that sums are exact.
        self._began, self._ticks = math.ceil(time.time()), math.ceil(time.monotonic())
        self._ahead = 0.0

    def forward(self, seconds: float) -> None:
        """Moves the clock forward."""
        self._ahead += seconds

    def time(self) -> float:
        return self._began + self._ahead

    def monotonic(self) -> float:
        return self._ticks + self._ahead

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


def movable_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the clock that decides whether credentials have expired: stored ones, sessions and tokens of
    a provider; also for servers in this process."""
    clock = Clock()
    for module in (authentication, oidc):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(repo.credentials, "utc_now", clock.now)
    return clock

"""Writes about many runs, in transactions of a bounded size: a run that cannot be written stops no other."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from repo.domain.errors import DatabaseUnavailable, DeadlineExceeded

T = TypeVar("T")

logger = structlog.get_logger("rungraph.leases")

MAX_RUNS = 100
"""Runs in one transaction."""


async def in_parts(
    run_keys: Sequence[bytes], work: Callable[[Sequence[bytes]], Awaitable[T]], what: str
) -> list[T]:
    """The results of `work` for at most MAX_RUNS runs at a time. Where it fails, the runs are halved until
    the one at fault is alone, which is logged as `what` and left out. Raises DatabaseUnavailable and
    DeadlineExceeded, which are no run's fault."""
    results: list[T] = []
    waiting = deque(run_keys[at : at + MAX_RUNS] for at in range(0, len(run_keys), MAX_RUNS))
    while waiting:
        part = waiting.popleft()
        try:
            results.append(await work(part))
        except (DatabaseUnavailable, DeadlineExceeded):
            raise
        except Exception as error:
            if len(part) == 1:
                reason = f"{type(error).__name__}: {error}"
                logger.error(what, run_key=part[0].hex(), reason=reason)
            else:
                half = len(part) // 2
                waiting.extendleft((part[half:], part[:half]))
    return results

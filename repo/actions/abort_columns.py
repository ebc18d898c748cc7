"""The columns of an abort request that change when it is confirmed or no longer claimed."""

from datetime import datetime
from typing import Any

from repo.domain.phases import AbortState

NO_LEASE: dict[str, None] = {"abort_lease": None, "abort_leased_until": None}
"""The columns of an abort that no replica has claimed."""


def confirmed(now: datetime) -> dict[str, Any]:
    """The columns of an abort that is confirmed now."""
    return {
        **NO_LEASE,
        "abort_state": AbortState.CONFIRMED,
        "abort_confirmed_at": now,
        "abort_next_attempt_at": None,
        "updated_at": now,
    }

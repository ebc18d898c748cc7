"""Losses of executors: the actions that they end, provisionally, and the return of those executors.

Each loss is an event (FAILED) with a negative version, which no executor uses: -1 is the first of its
attempt. The return is an event of the phase before, with the same version. So a loss was taken back if and
only if the other event is stored."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, literal_column, select

from repo.actions.event_rows import decide_errors
from repo.domain.models import ActionError, error_to_json
from repo.domain.phases import ActionPhase, LeaseState, Lifecycle, lost
from repo.sql.batches import fetch_having, insert_new, update_rows
from repo.sql.functions import constant, database_now, seconds_after
from repo.sql.transactions import Transaction
from repo.tables import action_events, actions, run_leases

EXECUTOR_LOST = "EXECUTOR_LOST"
"""The code of the error of a lost action."""

REPORTED_AGAIN = "the executor reported again"
"""The reason of a return by a report."""

e = action_events.c
x = run_leases.c
Attempt = tuple[bytes, int]
"""The key of an action, and the number of its attempt."""


async def lose(
    transaction: Transaction,
    stored: Mapping[bytes, Lifecycle],
    errors: Mapping[bytes, ActionError],
    at: Mapping[bytes, datetime],
    now: datetime,
) -> dict[bytes, Lifecycle]:
    """Insert the losses of these unfinished actions, which the caller has locked, and return their new
    lifecycles. `errors` and `at`, the times at which the leases ended, are by the key of the run."""
    versions = await _last_losses(transaction, stored)
    rows = [
        _event(key, each, ActionPhase.FAILED, versions.get((key, each.attempts), 0) - 1, at[key[:16]], now)
        | {"error": error_to_json(errors[key[:16]])}
        for key, each in sorted(stored.items())
    ]
    await insert_new(transaction, action_events, rows)
    return {key: lost(each, at[key[:16]]) for key, each in stored.items()}


async def take_back(
    transaction: Transaction, stored: Mapping[bytes, Lifecycle], reason: str, now: datetime
) -> None:
    """Insert the return of the executors of these lost actions, which the caller has locked and whose new
    lifecycles it stores. Their errors are derived again."""
    versions = await _last_losses(transaction, stored)
    rows = [
        _event(key, each, each.lost_phase, versions.get((key, each.attempts), -1), now, now)
        | {"info": {"message": reason}}
        for key, each in sorted(stored.items())
    ]
    await insert_new(transaction, action_events, rows)
    await decide_errors(transaction, stored, now)


async def lock_leases_first(transaction: Transaction) -> None:
    """Lock the leases that earlier attempts of this transaction had to renew."""
    await fetch_having(transaction, "lock leases of reports", x.run_key, sorted(transaction.leases), _leases)


async def renew_by_report(transaction: Transaction, run_keys: Iterable[bytes]) -> None:
    """Give the executors that reported in these runs another term of their leases, if these had expired:
    otherwise an action that a late report took back would never be lost again. The next renewal takes back
    the others. A lease that is held stays as it is: its end also ends what was taken back, and it may be
    another executor's."""
    rows = [{"run_key": key} for key in sorted(set(run_keys))]
    is_held = constant(x.state, LeaseState.HELD)
    expiring = literal_column(str(int(LeaseState.EXPIRING)), x.state.type)
    state = case((is_held, x.state), else_=expiring)
    expires_at = case((is_held, x.expires_at), else_=seconds_after(database_now(), x.ttl_seconds))
    await update_rows(transaction, run_leases, rows, expires_at=expires_at, state=state)


def _event(
    key: bytes, of: Lifecycle, phase: ActionPhase | None, version: int, at: datetime, now: datetime
) -> dict[str, Any]:
    times = {"occurred_at": at, "created_at": now, "updated_at": now}
    return {"action_key": key, "attempt": of.attempts, "phase": phase, "version": version, **times}


async def _last_losses(transaction: Transaction, keys: Iterable[bytes]) -> dict[Attempt, int]:
    """The lowest version of the losses of each attempt that has any."""
    rows = await fetch_having(transaction, "last losses", e.action_key, keys, _losses)
    return {(key, attempt): version for key, attempt, version in rows}


def _losses(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    found = restricted(select(e.action_key, e.attempt, func.min(e.version)))
    of_loss = (constant(e.phase, ActionPhase.FAILED), e.version < literal_column("0"))
    return found.where(*of_loss).group_by(e.action_key, e.attempt)


def _leases(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(x.run_key)).order_by(x.run_key).with_for_update(of=run_leases)


def is_lost() -> Any:
    """The condition for actions whose executor is lost."""
    return actions.c.lost_phase.is_not(None)

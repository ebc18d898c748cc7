"""Aborts in runs whose executor is lost: the loss confirms them in its place, until it returns.

Such a confirmation has the loss as its last error, with the code EXECUTOR_LOST in front, by which it is found
again."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from repo.actions.abort_columns import confirmed
from repo.actions.losses import EXECUTOR_LOST
from repo.domain.phases import AbortState
from repo.sql.batches import fetch_having, update_rows
from repo.sql.functions import constant
from repo.sql.transactions import Transaction
from repo.tables import actions, is_root, is_unconfirmed

c = actions.c
_PREFIX = f"{EXECUTOR_LOST}: "


async def lock_aborted(transaction: Transaction, run_keys: Collection[bytes]) -> set[bytes]:
    """Those of the runs with aborted actions. Their roots are locked: a transaction that adds to such a run
    comes entirely before or after this one, as with the confirmation by an executor."""
    found = await fetch_having(transaction, "aborted runs", c.run_key, run_keys, _aborted)
    aborted = {run_key for (run_key,) in found}
    await fetch_having(transaction, "lock roots of aborted", c.run_key, sorted(aborted), _roots)
    return aborted


async def confirm_in_place(
    transaction: Transaction, run_keys: Collection[bytes], reasons: Mapping[bytes, str], now: datetime
) -> set[bytes]:
    """Confirm the unconfirmed aborts of these runs, whose roots the caller has locked, and return the runs
    that had any. `reasons`, by run, say how the executors were lost."""
    found = await fetch_having(transaction, "unconfirmed aborts", c.run_key, sorted(run_keys), _unconfirmed)
    rows = [
        {"key": key, **confirmed(now), "abort_last_error": _PREFIX + reasons[key[:16]]} for (key,) in found
    ]
    await update_rows(transaction, actions, rows)
    return {key[:16] for (key,) in found}


async def request_again(transaction: Transaction, run_keys: Collection[bytes], now: datetime) -> None:
    """Let the aborts that were confirmed in place of the executor wait for it: it is back, and may still be
    at work."""
    found = await fetch_having(transaction, "confirmed in place", c.run_key, run_keys, _confirmed_in_place)
    requested = {
        "abort_state": AbortState.REQUESTED,
        "abort_confirmed_at": None,
        "abort_attempt_count": 0,
        "abort_last_error": None,
        "updated_at": now,
    }
    await update_rows(transaction, actions, [{"key": key, **requested} for (key,) in found])


def _aborted(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.run_key)).where(c.abort_state.is_not(None)).distinct()


def _roots(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(c.key)).where(is_root).order_by(c.key).with_for_update(of=actions)


def _unconfirmed(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    found = restricted(select(c.key)).where(is_unconfirmed).order_by(c.key)
    return found.with_for_update(key_share=True, of=actions)


def _confirmed_in_place(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    is_confirmed = constant(c.abort_state, AbortState.CONFIRMED)
    found = restricted(select(c.key)).where(is_confirmed, c.abort_last_error.startswith(_PREFIX))
    return found.order_by(c.key).with_for_update(key_share=True, of=actions)

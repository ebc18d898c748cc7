"""Phase updates of actions: applies the rules of `repo.domain.phases` to locked rows."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, select

from repo.actions.ancestors import lock_runs, read_ancestry
from repo.actions.losses import (
    REPORTED_AGAIN,
    lock_leases_first,
    renew_by_report,
    take_back,
)
from repo.domain.errors import ActionNotFound
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.phases import Lifecycle, PhaseUpdate, PhaseUpdateResult, aborted, advance, takes_back
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having, update_rows
from repo.sql.transactions import Transaction
from repo.tables import actions

Updates = Sequence[tuple[ActionIdentifier, PhaseUpdate]]

c = actions.c
_FIELDS = [field.name for field in fields(Lifecycle)]
LIFECYCLE_COLUMNS = [c[name] for name in _FIELDS]
_values_of = attrgetter(*_FIELDS)


def lifecycle_values(lifecycle: Lifecycle) -> dict[str, Any]:
    """The values of the columns of the same names."""
    return dict(zip(_FIELDS, _values_of(lifecycle), strict=True))


async def lock_lifecycles(transaction: Transaction, keys: Iterable[bytes]) -> dict[bytes, Lifecycle]:
    """Lock those of the actions that exist and return their lifecycles."""
    rows = await fetch_having(transaction, "lock lifecycles", c.key, keys, _locked)
    return {row[0]: Lifecycle(*row[1:]) async for row in in_slices(rows)}


def _locked(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # Locked in one order everywhere, and without blocking the events that refer to them.
    found = restricted(select(c.key, *LIFECYCLE_COLUMNS)).order_by(c.key)
    return found.with_for_update(key_share=True, of=actions)


async def store_lifecycles(
    transaction: Transaction,
    before: Mapping[bytes, Lifecycle],
    after: Mapping[bytes, Lifecycle],
    now: datetime,
) -> None:
    """Store the lifecycles that changed."""
    rows = [
        {"key": key, **lifecycle_values(lifecycle), "updated_at": now}
        async for key, lifecycle in in_slices(after.items())
        if lifecycle != before[key]
    ]
    await update_rows(transaction, actions, rows)


async def advance_all(
    transaction: Transaction, batches: Sequence[Updates], now: datetime
) -> list[list[PhaseUpdateResult]]:
    """Apply the updates of each batch in order and return their results. Raises ActionNotFound before
    anything is written."""
    keys = [[action_id.key async for action_id, _ in in_slices(batch)] for batch in batches]
    await lock_leases_first(transaction)
    before = await lock_lifecycles(transaction, chain.from_iterable(keys))
    after, results = dict(before), []
    returned: dict[bytes, Lifecycle] = {}
    for batch, batch_keys in zip(batches, keys, strict=True):
        advanced = []
        async for (action_id, update), key in in_slices(zip(batch, batch_keys, strict=True)):
            if key not in after:
                text = f"there is no action {action_id}; no phase was updated"
                raise ActionNotFound(text).of(action_id)
            stored = after[key]
            if takes_back(stored, update.attempts):
                returned[key] = stored
            after[key], applied = advance(stored, update, now)
            advanced.append(PhaseUpdateResult(applied, after[key] != stored))
        results.append(advanced)
    transaction.require_leases(key[:16] for key in returned)
    reopened = {
        key
        async for key, was in in_slices(before.items())
        if was.phase.is_terminal and not after[key].phase.is_terminal
    }
    runs = {action_id.run for batch in batches for action_id, _ in batch if action_id.key in reopened}
    stopped = await abort_below_aborts(transaction, runs, reopened, after, now)
    await store_lifecycles(transaction, before, after, now)
    if returned:
        await take_back(transaction, returned, REPORTED_AGAIN, now)
        await renew_by_report(transaction, (key[:16] for key in returned))
    if not stopped:
        return results
    await update_rows(transaction, actions, stopped)
    not_applied = {row["key"] for row in stopped}
    return [
        [
            PhaseUpdateResult(each.applied and key not in not_applied, each.changed)
            for each, key in zip(advanced, batch_keys, strict=True)
        ]
        for advanced, batch_keys in zip(results, keys, strict=True)
    ]


async def abort_below_aborts(
    transaction: Transaction,
    runs: Collection[RunIdentifier],
    reopened: Collection[bytes],
    after: dict[bytes, Lifecycle],
    now: datetime,
) -> list[dict[str, Any]]:
    """Abort those of the reopened actions of these runs that are below an aborted one, and return the columns
    of their requests."""
    if not reopened:
        return []
    await lock_runs(transaction, runs)
    ancestry = await read_ancestry(transaction, reopened)
    aborts = {key: abort for key in reopened if (abort := ancestry.nearest_abort(key)) is not None}
    for key in aborts:
        after[key] = aborted(after[key], now)
    return [{"key": key, **abort.columns()} for key, abort in sorted(aborts.items())]

"""Phase updates of actions: applies the rules of `repo.domain.phases` to locked rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.ancestors import lock_runs, read_ancestry
from repo.domain.errors import ActionNotFound
from repo.domain.identifiers import ActionIdentifier
from repo.domain.phases import Lifecycle, PhaseUpdate, PhaseUpdateResult, aborted, advance
from repo.sql.batches import update_rows
from repo.sql.database import Database
from repo.sql.filters import having_keys
from repo.tables import actions

Updates = Sequence[tuple[ActionIdentifier, PhaseUpdate]]

c = actions.c
_FIELDS = [field.name for field in fields(Lifecycle)]
_COLUMNS = [c[name] for name in _FIELDS]
_values_of = attrgetter(*_FIELDS)


def lifecycle_values(lifecycle: Lifecycle) -> dict[str, Any]:
    """The values of the columns of the same names."""
    return dict(zip(_FIELDS, _values_of(lifecycle), strict=True))


async def lock_lifecycles(
    database: Database, connection: AsyncConnection, keys: Iterable[bytes]
) -> dict[bytes, Lifecycle]:
    """Lock those of the actions that exist and return their lifecycles."""
    statement = having_keys(database, select(c.key, *_COLUMNS), c.key, keys)
    # Locked in one order everywhere, and without blocking the events that refer to them.
    locked = statement.order_by(c.key).with_for_update(key_share=True, of=actions)
    return {row.key: Lifecycle(*row[1:]) for row in await connection.execute(locked)}


async def store_lifecycles(
    database: Database,
    connection: AsyncConnection,
    before: Mapping[bytes, Lifecycle],
    after: Mapping[bytes, Lifecycle],
    now: datetime,
) -> None:
    """Store the lifecycles that changed."""
    rows = [
        {"key": key, **lifecycle_values(lifecycle), "updated_at": now}
        for key, lifecycle in after.items()
        if lifecycle != before[key]
    ]
    await update_rows(connection, actions, rows)


async def advance_all(
    database: Database, connection: AsyncConnection, batches: Sequence[Updates], now: datetime
) -> list[list[PhaseUpdateResult]]:
    """Apply the updates of each batch in order and return their results. Raises ActionNotFound before
    anything is written."""
    keys = [[action_id.key for action_id, _ in batch] for batch in batches]
    before = await lock_lifecycles(database, connection, chain.from_iterable(keys))
    after, results = dict(before), []
    for batch, batch_keys in zip(batches, keys, strict=True):
        advanced = []
        for (action_id, update), key in zip(batch, batch_keys, strict=True):
            if key not in after:
                text = f"there is no action {action_id}; no phase was updated"
                raise ActionNotFound(text).of(action_id)
            stored = after[key]
            after[key], applied = advance(stored, update, now)
            advanced.append(PhaseUpdateResult(applied, after[key] != stored))
        results.append(advanced)
    reopened = {
        key for key, was in before.items() if was.phase.is_terminal and not after[key].phase.is_terminal
    }
    stopped = await _abort_below_aborts(database, connection, batches, reopened, after, now)
    await store_lifecycles(database, connection, before, after, now)
    if not stopped:
        return results
    await update_rows(connection, actions, stopped)
    not_applied = {row["key"] for row in stopped}
    return [
        [
            PhaseUpdateResult(each.applied and key not in not_applied, each.changed)
            for each, key in zip(advanced, batch_keys, strict=True)
        ]
        for advanced, batch_keys in zip(results, keys, strict=True)
    ]


async def _abort_below_aborts(
    database: Database,
    connection: AsyncConnection,
    batches: Sequence[Updates],
    reopened: Collection[bytes],
    after: dict[bytes, Lifecycle],
    now: datetime,
) -> list[dict[str, object]]:
    """Abort those of the reopened actions that are below an aborted one, and return the columns of their
    requests."""
    if not reopened:
        return []
    runs = {action_id.run for batch in batches for action_id, _ in batch if action_id.key in reopened}
    await lock_runs(database, connection, runs)
    aborts = (await read_ancestry(database, connection, reopened)).aborts
    for key in aborts:
        after[key] = aborted(after[key], now)
    return [{"key": key, **abort.columns()} for key, abort in sorted(aborts.items())]

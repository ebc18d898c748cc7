"""Phase updates of actions: the rules of `repo.domain.phases` applied to rows that are locked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain

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
_COLUMNS = (
    c.phase,
    c.attempts,
    c.cache_status,
    c.created_at,
    c.started_at,
    c.ended_at,
    c.start_time,
    c.phase_time,
)


async def lock_progress(
    database: Database, connection: AsyncConnection, keys: Iterable[bytes]
) -> dict[bytes, Lifecycle]:
    """The progress of those with these keys that are stored, which nobody else changes until this
    transaction ends."""
    statement = having_keys(database, select(c.key, *_COLUMNS), c.key, keys)
    # Rows are locked in one order everywhere, and not against the events that refer to them.
    locked = statement.order_by(c.key).with_for_update(key_share=True, of=actions)
    return {row.key: Lifecycle(*row[1:]) for row in await connection.execute(locked)}


async def store_progress(
    database: Database,
    connection: AsyncConnection,
    before: Mapping[bytes, Lifecycle],
    after: Mapping[bytes, Lifecycle],
    now: datetime,
) -> None:
    """Write what is not as before."""
    rows = [
        {
            "key": key,
            "phase": progress.phase,
            "attempts": progress.attempts,
            "cache_status": progress.cache_status,
            "created_at": progress.created_at,
            "started_at": progress.started_at,
            "ended_at": progress.ended_at,
            "start_time": progress.start_time,
            "phase_time": progress.phase_time,
            "updated_at": now,
        }
        for key, progress in after.items()
        if progress != before[key]
    ]
    await update_rows(connection, actions, rows)


async def advance_all(
    database: Database, connection: AsyncConnection, batches: Sequence[Updates], now: datetime
) -> list[list[PhaseUpdateResult]]:
    """What became of the updates of each batch, applied in their order. Raises ActionNotFound before
    anything is written."""
    keys = [[action_id.key for action_id, _ in batch] for batch in batches]
    before = await lock_progress(database, connection, chain.from_iterable(keys))
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
    await store_progress(database, connection, before, after, now)
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
    """Abort those of the reopened actions that lie below an aborted one: the columns of their requests."""
    if not reopened:
        return []
    runs = {action_id.run for batch in batches for action_id, _ in batch if action_id.key in reopened}
    await lock_runs(database, connection, runs)
    aborts = (await read_ancestry(database, connection, reopened)).aborts
    for key in aborts:
        after[key] = aborted(after[key], now)
    return [{"key": key, **abort.columns()} for key, abort in sorted(aborts.items())]

"""Inserts events and reads them back, and derives the errors of their actions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Select, exists, func, literal_column, not_, or_, select

from repo.domain.errors import ActionNotFound, InvalidArgument
from repo.domain.identifiers import ActionIdentifier
from repo.domain.models import ActionEvent, ClusterEvent, LogLink, NewEvent, error_from_json, error_to_json
from repo.domain.phases import FIRST_TERMINAL, check_attempts
from repo.domain.slices import in_slices
from repo.sql.batches import fetch_having, insert_all_or_none, insert_new, update_rows
from repo.sql.errors import CONSTRAINT_VIOLATED
from repo.sql.paging import Keyset
from repo.sql.transactions import Transaction
from repo.sql.types import check_text
from repo.tables import action_events, actions

e = action_events.c
_DOCUMENTS = ("error", "logs", "cluster_events")
_NEW = [each.name for each in fields(NewEvent)]
EVENT_COLUMNS = (e.action_key, *(e[each.name] for each in fields(ActionEvent)[1:]))
"""The key of the action, then the columns of the other fields of an event, in their order."""
_places = {column.name: place for place, column in enumerate(EVENT_COLUMNS)}
_documents = itemgetter(*(_places[name] for name in _DOCUMENTS))
_stored_values = itemgetter(*(_places[name] for name in ("created_at", "updated_at", "transaction_id")))
key_of = itemgetter(*(column.name for column in action_events.primary_key))
_SAME = [name for name in _NEW if name not in ("action", *_DOCUMENTS)]
"""Fields that are stored as they are, in columns of the same names."""
_values_of = attrgetter(*_SAME)
_AT_ONCE = 1_000
"""Events in a single statement."""
oldest_first = Keyset("OCCURRED_AT", e.occurred_at, False, (e.attempt, e.phase, e.version))
"""The order of one action's events."""


def event_of(row: Sequence[Any], action: ActionIdentifier) -> ActionEvent:
    """The event of `action` in a row of EVENT_COLUMNS."""
    new, (created_at, updated_at, transaction_id) = row[1 : len(_NEW)], _stored_values(row)
    event = ActionEvent(
        action, *new, created_at=created_at, updated_at=updated_at, transaction_id=transaction_id
    )
    error, logs, cluster_events = _documents(row)
    event.error = error_from_json(error)
    event.logs = tuple([LogLink(log["name"], log["uri"]) for log in logs]) if logs else ()
    event.cluster_events = tuple(map(_cluster_event_from_json, cluster_events)) if cluster_events else ()
    return event


def _cluster_event_from_json(document: Mapping[str, Any]) -> ClusterEvent:
    occurred_at = datetime.fromisoformat(document["occurred_at"])
    return ClusterEvent(occurred_at, document["message"], document["reason"], document["warning"])


def row_of(event: NewEvent, now: datetime) -> dict[str, Any]:
    check_attempts(event.attempt, "attempt")
    check_attempts(event.version, "version")
    if event.error is not None:  # the database reads its code: each part of the document must be text
        check_text(event.error.message)
        check_text(event.error.code or "")
    return {
        "action_key": event.action.key,
        **dict(zip(_SAME, _values_of(event), strict=True)),
        "error": error_to_json(event.error),
        "logs": [{"name": log.name, "uri": log.uri} for log in event.logs] or None,
        "cluster_events": [
            {
                "occurred_at": item.occurred_at.isoformat(),
                "message": item.message,
                "reason": item.reason,
                "warning": item.warning,
            }
            for item in event.cluster_events
        ]
        or None,
        "created_at": now,
        "updated_at": now,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to insert."""

    rows: Sequence[dict[str, Any]]
    actions: Mapping[bytes, ActionIdentifier]
    """The actions that they are about."""


async def batch_of(events: Sequence[NewEvent], now: datetime) -> Batch:
    """The events as rows. Raises InvalidArgument for a number that is out of range."""
    rows, named = [], {}
    async for event in in_slices(events):
        try:
            row = row_of(event, now)
        except InvalidArgument as error:
            raise error.of(event)  # noqa: B904 - it is the same error
        rows.append(row)
        named[row["action_key"]] = event.action
    return Batch(rows, named)


async def insert(transaction: Transaction, batches: Sequence[Batch], now: datetime) -> list[int]:
    """Insert the events and return how many of each batch were new. Raises ActionNotFound for the first
    action that does not exist, before anything is written."""
    # All writers insert rows in one order, so that two with the same events do not deadlock.
    rows = sorted((row for batch in batches for row in batch.rows), key=key_of)
    named = {key: action for batch in batches for key, action in batch.actions.items()}
    if not rows:
        return [0] * len(batches)
    if len(rows) <= _AT_ONCE and not any(row["phase"].is_terminal for row in rows):
        return await _insert_at_once(transaction, batches, rows, named)
    ending = {row["action_key"] for row in rows if row["phase"].is_terminal}
    # Two transactions that derive an error at once would each miss the other's events.
    locked = await fetch_having(transaction, "lock ended", actions.c.key, ending, _locked)
    known = await fetch_having(transaction, "error attempts", actions.c.key, named.keys() - ending, _known)
    stored = {key: attempt for key, attempt in (*locked, *known)}
    for key, action in named.items():
        if key not in stored:
            raise _not_found(action)
    try:
        new = set(await insert_new(transaction, action_events, rows))
    except CONSTRAINT_VIOLATED:
        # Only one constraint can be violated: the run of an action was removed since the check above.
        raise _just_removed() from None
    inserted = [_count(batch, new) for batch in batches]
    failed = {row["action_key"] for row in rows if row["error"] is not None}
    ended = {key for key in ending if key in failed or stored[key] is not None}
    if any(inserted) and ended:
        await decide_errors(transaction, ended, now)
    return inserted


async def _insert_at_once(
    transaction: Transaction,
    batches: Sequence[Batch],
    rows: Sequence[dict[str, Any]],
    named: Mapping[bytes, ActionIdentifier],
) -> list[int]:
    """As `insert`, for events that end no attempt and so derive no errors."""
    try:
        new, missing = await insert_all_or_none(
            transaction, action_events, rows, actions.c.key, by="action_key"
        )
    except CONSTRAINT_VIOLATED:
        raise _just_removed() from None
    for key, action in named.items():
        if key in missing:
            raise _not_found(action)
    left = set(new)
    return [_count(batch, left) for batch in batches]


def _not_found(action: ActionIdentifier) -> ActionNotFound:
    return ActionNotFound(f"there is no action {action}; none of the events was stored").of(action)


def _just_removed() -> ActionNotFound:
    return ActionNotFound("an action was just removed; none of the events was stored")


def _known(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(actions.c.key, actions.c.error_attempt))


def _locked(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return _known(restricted).order_by(actions.c.key).with_for_update(key_share=True, of=actions)


def _ends(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    """The terminal events of some actions, and their errors."""
    seen_at = func.coalesce(e.reported_at, e.occurred_at)
    columns = (e.action_key, e.attempt, e.phase, e.error, actions.c.error_attempt, actions.c.error)
    ends = select(*columns).join_from(action_events, actions, e.action_key == actions.c.key)
    # Not the losses of executors that were taken back; see repo.actions.losses.
    x = action_events.alias("x").c
    returned = exists().where(
        x.action_key == e.action_key, x.attempt == e.attempt, x.version == e.version, x.phase < FIRST_TERMINAL
    )
    counts = or_(e.version >= literal_column("0"), not_(returned))
    statement = restricted(ends.where(e.phase >= FIRST_TERMINAL, counts))
    return statement.order_by(e.attempt.desc(), seen_at, e.phase, e.version)


def _count(batch: Batch, new: set[tuple[Any, ...]]) -> int:
    """How many of its events are new. An event in several batches counts for the first."""
    mine = new.intersection(map(key_of, batch.rows))
    new -= mine
    return len(mine)


async def decide_errors(transaction: Transaction, keys: Collection[bytes], now: datetime) -> None:
    """Store the error of the latest ended attempt of each action, none if no attempt has ended: the terminal
    event that was seen first decides the phase, and the first event of that phase with an error decides the
    error."""
    decided: dict[bytes, tuple[int, int]] = {}
    errors: dict[bytes, Any] = {}
    stored: dict[bytes, tuple[int | None, Any]] = {}
    for key, attempt, phase, error, *before in await fetch_having(
        transaction, "ends", e.action_key, keys, _ends
    ):
        if decided.setdefault(key, (attempt, phase)) == (attempt, phase) and errors.get(key) is None:
            errors[key] = error
        stored[key] = tuple(before)
    rows = [
        {"key": key, "error": errors[key], "error_attempt": attempt, "updated_at": now}
        for key, (attempt, _) in sorted(decided.items())
        if (attempt, errors[key]) != stored[key]
    ]
    unended = sorted(set(keys) - decided.keys())
    rows += [{"key": key, "error": None, "error_attempt": None, "updated_at": now} for key in unended]
    await update_rows(transaction, actions, rows)

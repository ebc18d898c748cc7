"""Creates actions idempotently, and stores what describes them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from repo.actions.ancestors import AbortAbove
from repo.actions.phase_updates import lifecycle_values, lock_lifecycles, store_lifecycles
from repo.actions.placement import Placement, check_parents, place, read_below
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import MAX_DEPENDENCIES, MAX_LABELS, check_name, folded
from repo.domain.models import Identity, Label, NewAction, identity_to_json
from repo.domain.phases import Lifecycle, PhaseUpdate, aborted, advance, begin, created_by, described_at
from repo.domain.slices import in_slices
from repo.sql.batches import insert_new, update_rows
from repo.sql.errors import CONSTRAINT_VIOLATED, OutdatedRead
from repo.sql.transactions import Transaction
from repo.sql.types import check_text
from repo.tables import actions

_OUTDATED = "the same actions are being created by others; retry the call"
_CONVERTED = """id phase labels task trigger dependencies created_by created_at attempts cache_status
    update_triggered_at triggered_at""".split()
_SAME = [each.name for each in fields(NewAction) if each.name not in _CONVERTED]
"""Fields of an action that are stored as they are, in columns of the same names."""
_values_of = attrgetter(*_SAME)

Changes = dict[bytes, dict[str, Any]]
"""The columns to set, by the key of the action."""


async def create(
    transaction: Transaction, batches: Sequence[Sequence[NewAction]], now: datetime
) -> list[int]:
    """Create the actions and return how many of each batch were new. Existing ones only take over an earlier
    `created_at`, and placeholders become what is described. A new action below an aborted one is aborted
    too. Raises before anything is written: Conflict for a second root of a run, RunNotFound or ActionNotFound
    for a parent that is neither stored nor among the new actions."""
    requested: dict[bytes, NewAction] = {}
    batch_numbers: dict[bytes, int] = {}
    creations: dict[bytes, datetime] = {}
    for number, batch in enumerate(batches):
        async for action in in_slices(batch):
            key = action.id.key
            requested.setdefault(key, action)
            batch_numbers.setdefault(key, number)
            if action.created_at is not None:
                creations[key] = min(action.created_at, creations.get(key, action.created_at))
            check_of(action, check_description, action)
    if not requested:
        return [0] * len(batches)
    placement = await place(transaction, list(requested.values()), ())
    check_parents(placement)
    nodes = placement.stored.nodes
    changing = {
        key
        for key in requested.keys() & nodes.keys()
        if key in placement.described or creations.get(key, now) < (nodes[key].created_at or now)
    }
    before = await lock_lifecycles(transaction, changing) if changing else {}
    after = {}
    for key, lifecycle in before.items():
        if key in placement.described:
            action, since = requested[key], nodes[key].placeholder_since
            update = PhaseUpdate(action.phase, action.attempts, action.cache_status)
            lifecycle, _ = advance(lifecycle, update, now)
            after[key] = described_at(lifecycle, creations.get(key), since)
        else:
            after[key] = created_by(lifecycle, creations[key])
    async for key in in_slices(placement.new):
        action = requested[key]
        after[key] = check_of(
            action, begin, action.phase, action.attempts, action.cache_status, creations.get(key, now)
        )
    changes = {
        key: {**lifecycle_values(after[key]), "updated_at": now}
        for key in before
        if after[key] != before[key]
    }
    await store(transaction, placement, after, changes, now)
    created = Counter(batch_numbers[key] for key in placement.new)
    return [created[number] for number in range(len(batches))]


def check_of(action: NewAction, call: Any, *arguments: Any) -> Any:
    """The result of the call, whose errors name the action."""
    try:
        return call(*arguments)
    except InvalidArgument as error:
        raise error.of(action.id)  # noqa: B904 - it is the same error


async def store(
    transaction: Transaction,
    placement: Placement,
    lifecycles: Mapping[bytes, Lifecycle],
    changes: Changes,
    now: datetime,
) -> set[bytes]:
    """Insert the new actions with these lifecycles, store all changes and those of the tree, and return the
    keys of stored actions that became ABORTED, since they are below an aborted one now. New ones below an
    aborted one are aborted too."""
    moved, described = placement.moved, placement.details
    for key in moved.keys() | placement.described:
        columns = _place_of(placement, key)
        if key in placement.described:
            columns |= _description(described[key])
            columns |= {"run_search_text": None if placement.parents[key] else _run_text(described[key])}
            columns |= {"triggered_at": described[key].triggered_at, "placeholder_since": None}
        changes[key] = {**columns, **changes.get(key, {}), "updated_at": now}
    rows = []
    async for key, id in in_slices(sorted(placement.new.items(), key=itemgetter(0))):
        parent = placement.parents[key]
        action = described.get(key) or NewAction(id, placement.name(parent) if parent else None)
        lifecycle, abort = lifecycles[key], placement.aborts[key]
        row = _row_of(action, placement, lifecycle, abort, now)
        rows.append(row | changes.pop(key, {}))
    if any("abort_state" in row for row in rows):
        requests = dict.fromkeys(("abort_state", *_REQUEST))
        rows = [{**requests, **row} for row in rows]
    # A run has one root at each moment: the former one is moved first.
    roots = {key for key in changes if key in moved and moved[key] is None}
    await update_in_groups(transaction, (changes[key] | {"key": key} for key in changes.keys() - roots))
    try:
        inserted = await insert_new(transaction, actions, rows)
    except CONSTRAINT_VIOLATED:
        # Only one constraint can be violated: another root was committed meanwhile.
        raise OutdatedRead(_OUTDATED) from None
    if len(inserted) < len(rows):
        raise OutdatedRead(_OUTDATED)
    await update_in_groups(transaction, (changes[key] | {"key": key} for key in roots))
    return await _settle_below(transaction, placement, now) if changes else set()


async def update_in_groups(transaction: Transaction, rows: Iterable[dict[str, Any]]) -> None:
    """Set the columns of rows that may have different ones."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row)), []).append(row)
    for _, group in sorted(groups.items()):
        await update_rows(transaction, actions, sorted(group, key=itemgetter("key")))


async def _settle_below(transaction: Transaction, placement: Placement, now: datetime) -> set[bytes]:
    """Correct the depths of what is below moved actions, and abort what is below an aborted one now. Returns
    the keys of aborted actions."""
    nodes, changed = placement.stored.nodes, placement.moved.keys() | placement.described
    tops = [key for key in changed if placement.depths[key] != nodes[key].depth]
    depths = [
        {"key": key, "depth": depth, "updated_at": now}
        for key, depth, stored_depth in (await read_below(transaction, tops) if tops else ())
        if depth != stored_depth
    ]
    await update_rows(transaction, actions, depths)
    stopped: set[bytes] = set()
    for top in sorted(changed):
        abort = placement.aborts[top]
        if abort is None:
            continue
        keys = [row[0] for row in await read_below(transaction, [top])]
        before = await lock_lifecycles(transaction, keys)
        after = {key: each if each.phase.is_terminal else aborted(each, now) for key, each in before.items()}
        await store_lifecycles(transaction, before, after, now)
        new = sorted(key for key in before if after[key] != before[key])
        await update_rows(transaction, actions, [{"key": key, **abort.columns()} for key in new])
        stopped |= set(new)
    return stopped


_REQUEST = ("abort_reason", "abort_requested_by", "abort_requested_at")


def _place_of(placement: Placement, key: bytes) -> dict[str, Any]:
    """The columns that say where an action is in the tree of its run."""
    parent = placement.parents[key]
    run = placement.runs[key[:16]]
    return {
        "parent_key": parent,
        "parent_name": parent and placement.name(parent),
        "depth": placement.depths[key],
        "run_search_text": None if parent else _search_text(run.name),
    }


def _row_of(
    action: NewAction, placement: Placement, lifecycle: Lifecycle, abort: AbortAbove | None, now: datetime
) -> dict[str, Any]:
    key = action.id.key
    request = {}
    if abort is not None and not lifecycle.phase.is_terminal:
        lifecycle, request = aborted(lifecycle, now), abort.columns()
    parent = placement.parents[key]
    return {
        "key": key,
        "run_key": key[:16],
        "parent_key": parent,
        "depth": placement.depths[key],
        "name": action.id.name,
        "project": action.id.project,
        "domain": action.id.domain,
        "run_name": action.id.run_name,
        **_description(action),
        "run_search_text": None if parent else _run_text(action),
        "placeholder_since": now if key in placement.placeholders else None,
        "abort_attempt_count": 0,
        "progress": None,
        **lifecycle_values(lifecycle),
        "triggered_at": now if action.update_triggered_at else action.triggered_at,
        "updated_at": now,
        **request,
    }


def _description(action: NewAction) -> dict[str, Any]:
    """The columns that describe an action, whatever becomes of it."""
    task, trigger = action.task, action.trigger
    return {
        **dict(zip(_SAME, _values_of(action), strict=True)),
        "labels": _labels(action.labels),
        "task_project": task and task.project,
        "task_domain": task and task.domain,
        "task_name": task and task.name,
        "task_version": task and task.version,
        "trigger_task_name": trigger and trigger.task_name,
        "trigger_name": trigger and trigger.name,
        "trigger_revision": trigger and trigger.revision,
        "created_by": _creator(action.created_by),
        "created_by_subject": action.created_by and action.created_by.subject,
        "search_text": _search_text(action.id.name, *_task_names(action)),
        "dependencies": _dependencies(action.dependencies) or None,
    }


def check_description(action: NewAction) -> None:
    """Raise InvalidArgument for an action that cannot be stored."""
    if action.parent_name is not None:
        check_name(action.parent_name, "parentName")
    _labels(action.labels)
    _dependencies(action.dependencies)
    _creator(action.created_by)


def _task_names(action: NewAction) -> tuple[str | None, str | None]:
    return (action.task.name if action.task else None, action.function_name)


def _run_text(action: NewAction) -> str:
    return _search_text(action.id.run_name, *_task_names(action))


def _creator(creator: Identity | None) -> dict[str, Any] | None:
    for text in (creator.name, creator.email) if creator else ():
        check_text(text or "")
    return identity_to_json(creator)


def _search_text(*names: str | None) -> str:
    """The text that searches match. A term cannot match across two names, since no name contains U+0001."""
    return "\x01".join(folded(name) for name in names if name)


def _dependencies(names: Sequence[str]) -> list[str]:
    """The names without duplicates, in their order."""
    if len(names) > MAX_DEPENDENCIES:
        raise InvalidArgument(f"an action has at most {MAX_DEPENDENCIES} dependencies, not {len(names)}")
    for name in names:
        check_name(name, "dependency")
    return list(dict.fromkeys(names))


def _labels(labels: Sequence[Label]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        raise InvalidArgument(f"an action has at most {MAX_LABELS} labels, not {len(labels)}")
    by_key: dict[str, str] = {}
    for label in labels:
        check_name(label.key, "label key")
        if label.key in by_key:
            raise InvalidArgument(f"label {label.key} occurs twice")
        check_text(label.value)
        by_key[label.key] = label.value
    return by_key

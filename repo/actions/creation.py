"""Creates actions idempotently, each below an existing parent, with one root per run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from repo.actions.ancestors import AbortAbove, Ancestry, lock_runs, read_ancestry
from repo.actions.phase_updates import lifecycle_values, lock_lifecycles, store_lifecycles
from repo.domain.errors import ActionNotFound, Conflict, InvalidArgument, RunNotFound
from repo.domain.identifiers import (
    MAX_DEPENDENCIES,
    MAX_LABELS,
    ActionIdentifier,
    RunIdentifier,
    check_name,
    folded,
)
from repo.domain.models import Identity, Label, NewAction, identity_to_json
from repo.domain.phases import aborted, begin, created_by
from repo.domain.slices import in_slices
from repo.sql.batches import insert_new
from repo.sql.errors import CONSTRAINT_VIOLATED
from repo.sql.transactions import Transaction
from repo.sql.types import check_text
from repo.tables import actions

_REQUEST = ("abort_state", "abort_reason", "abort_requested_by", "abort_requested_at")
"""The columns of an abort request."""
_CONVERTED = """id phase labels task trigger dependencies created_by created_at attempts cache_status
    update_triggered_at""".split()
_SAME = [each.name for each in fields(NewAction) if each.name not in _CONVERTED]
"""Fields of an action that are stored as they are, in columns of the same names."""
_values_of = attrgetter(*_SAME)


async def create(
    transaction: Transaction, batches: Sequence[Sequence[NewAction]], now: datetime
) -> list[int]:
    """Create the actions and return how many of each batch were new. Existing ones only take over an earlier
    `created_at`. A new action below an aborted one is aborted too. Raises before anything is written:
    Conflict for a second root of a run, RunNotFound or ActionNotFound for a parent that is neither stored
    nor among the new actions."""
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
    if not requested:
        return [0] * len(batches)
    roots = await lock_runs(transaction, {action.id.run for action in requested.values()})
    parents = {key: _parent_of(action) async for key, action in in_slices(requested.items())}
    above = {parent.key for parent in parents.values() if parent is not None}
    stored = await read_ancestry(transaction, requested.keys() | above)
    existing = {key: stored.created_at[key] for key in requested.keys() & stored.created_at.keys()}
    moved = {key for key, created_at in existing.items() if creations.get(key, created_at) < created_at}
    if moved:
        await _move_creations(transaction, {key: creations[key] for key in moved}, now)
    new = {key: action for key, action in requested.items() if key not in existing}
    if not new:
        return [0] * len(batches)
    for action in new.values():
        if action.parent_name is None:
            root = roots.setdefault(action.id.run, action.id.name)
            if root != action.id.name:
                raise _second_root(action.id, root)
    depths, aborts = await _depths_and_aborts(new, parents, stored, roots)
    rows = []
    async for key, action in in_slices(sorted(new.items(), key=itemgetter(0))):
        try:
            rows.append(
                _row_of(action, parents[key], depths[key], creations.get(key, now), aborts.get(key), now)
            )
        except InvalidArgument as error:
            raise error.of(action.id)  # noqa: B904 - it is the same error
    if aborts:
        requests = dict.fromkeys(_REQUEST)
        rows = [{**requests, **row} for row in rows]
    try:
        created = Counter(batch_numbers[key] for (key,) in await insert_new(transaction, actions, rows))
        return [created[number] for number in range(len(batches))]
    except CONSTRAINT_VIOLATED:
        # Only one constraint can be violated: another root was committed since the check above.
        action = next(action for action in new.values() if action.parent_name is None)
        raise _second_root(action.id, "just created") from None


def _second_root(action: ActionIdentifier, root: str) -> Conflict:
    text = f"run {action.run} has a root action already ({root}); {action.name} needs a parentName"
    return Conflict(text).of(action)


async def _move_creations(
    transaction: Transaction, creations: Mapping[bytes, datetime], now: datetime
) -> None:
    """Move the creation of these actions to no later than these times."""
    before = await lock_lifecycles(transaction, creations)
    after = {key: created_by(lifecycle, creations[key]) for key, lifecycle in before.items()}
    await store_lifecycles(transaction, before, after, now)


def _parent_of(action: NewAction) -> ActionIdentifier | None:
    if action.parent_name is None:
        return None
    try:
        check_name(action.parent_name, "parentName")
    except InvalidArgument as error:
        raise error.of(action.id)  # noqa: B904 - it is the same error
    return replace(action.id, name=action.parent_name)


async def _depths_and_aborts(
    new: Mapping[bytes, NewAction],
    parents: Mapping[bytes, ActionIdentifier | None],
    stored: Ancestry,
    roots: Mapping[RunIdentifier, str],
) -> tuple[dict[bytes, int], dict[bytes, AbortAbove]]:
    """The depth of each new action, and the abort request above it, if any. A chain of new parents ends at a
    new root or at a stored action. Raises as `create` does."""
    depths, aborts = dict(stored.depths), dict(stored.aborts)
    async for key, action in in_slices(new.items()):
        parent = parents[key]
        if parent is not None and parent.key not in new and parent.key not in depths:
            if action.id.run not in roots:
                text = f"there is no run {action.id.run} to create {action.id.name} in"
                raise RunNotFound(text).of(action.id)
            text = f"there is no action {action.parent_name}, the parent of {action.id}"
            raise ActionNotFound(text).of(action.id)
    async for key in in_slices(new):
        chain: dict[bytes, None] = {}
        depth = -1
        while key not in depths:
            chain[key] = None
            parent = parents[key]
            if parent is None:
                break
            if parent.key in chain:
                raise InvalidArgument(f"action {new[key].id} is its own ancestor").of(new[key].id)
            key = parent.key
        else:
            depth = depths[key]
        abort = aborts.get(key)
        for member in reversed(chain):
            depth += 1
            depths[member] = depth
            if abort is not None:
                aborts[member] = abort
    return depths, {key: abort for key, abort in aborts.items() if key in new}


def _row_of(
    action: NewAction,
    parent: ActionIdentifier | None,
    depth: int,
    created_at: datetime,
    abort: AbortAbove | None,
    now: datetime,
) -> dict[str, Any]:
    lifecycle = begin(action.phase, action.attempts, action.cache_status, created_at)
    request = {}
    if abort is not None and not lifecycle.phase.is_terminal:
        lifecycle, request = aborted(lifecycle, now), abort.columns()
    task, trigger = action.task, action.trigger
    named = (task.name if task else None, action.function_name)
    return {
        "key": action.id.key,
        "run_key": action.id.run.key,
        "parent_key": parent.key if parent else None,
        "depth": depth,
        "name": action.id.name,
        "project": action.id.project,
        "domain": action.id.domain,
        "run_name": action.id.run_name,
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
        "search_text": _search_text(action.id.name, *named),
        "run_search_text": None if parent else _search_text(action.id.run_name, *named),
        "dependencies": _dependencies(action.dependencies) or None,
        "abort_attempt_count": 0,
        **lifecycle_values(lifecycle),
        "triggered_at": now if action.update_triggered_at else None,
        "updated_at": now,
        **request,
    }


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

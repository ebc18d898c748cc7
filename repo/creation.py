"""Owns how actions come into being: idempotently, under a parent that exists, one root a run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database
from repo.errors import ActionNotFound, Conflict, InvalidArgument, RunNotFound
from repo.identifiers import ActionIdentifier, check_name
from repo.models import Label, NewAction, identity_to_json
from repo.phases import begin
from repo.tables import actions

Key = tuple[bytes, str]

c = actions.c


async def create(
    database: Database, connection: AsyncConnection, given: Sequence[NewAction], now: datetime
) -> int:
    """How many of the actions were new; those that exist already stay as they are.

    Raises before anything is written: Conflict for a second root of a run, RunNotFound or
    ActionNotFound for a parent that is neither stored nor among the new actions.
    """
    if not given:
        return 0
    wanted: dict[Key, NewAction] = {}
    for action in given:
        wanted.setdefault(action.id.key, action)
    existing = await _which_exist(database, connection, wanted)
    new = {key: action for key, action in wanted.items() if key not in existing}
    if not new:
        return 0
    roots = await _roots_of(database, connection, {run_id for run_id, _ in new})
    for (run_id, name), action in new.items():
        if action.parent_name is None and roots.setdefault(run_id, name) != name:
            raise _second_root(action.id, roots[run_id])
    await _check_parents(database, connection, new, roots)
    rows = [_row_of(action, now) for _, action in sorted(new.items(), key=lambda item: item[0])]
    try:
        return await database.insert_new(connection, actions, rows)
    except IntegrityError:
        # The one constraint left to break: another root was committed since it was looked for.
        action = next(action for action in new.values() if action.parent_name is None)
        raise _second_root(action.id, "just created") from None


def _second_root(action: ActionIdentifier, root: str) -> Conflict:
    return Conflict(f"run {action.run} has a root action already ({root}); {action.name} needs a parentName")


async def _which_exist(database: Database, connection: AsyncConnection, keys: Mapping[Key, Any]) -> set[Key]:
    statement = database.having_keys(select(c.run_id, c.name), (c.run_id, c.name), keys)
    return {(run_id, name) for run_id, name in await connection.execute(statement)}


async def _roots_of(database: Database, connection: AsyncConnection, runs: set[bytes]) -> dict[bytes, str]:
    roots = select(c.run_id, c.name).where(c.parent_name.is_(None))
    statement = database.having_keys(roots, (c.run_id,), ((run_id,) for run_id in runs))
    return {run_id: name for run_id, name in await connection.execute(statement)}


async def _check_parents(
    database: Database,
    connection: AsyncConnection,
    new: Mapping[Key, NewAction],
    roots: Mapping[bytes, str],
) -> None:
    """Every chain of new parents must end at a root, or at an action that is stored."""
    outside: dict[Key, NewAction] = {}
    sound: set[Key] = set()
    for key in new:
        chain: list[Key] = []
        while key in new and key not in sound:
            if key in chain:
                raise InvalidArgument(f"action {new[key].id} is its own ancestor")
            chain.append(key)
            parent_name = new[key].parent_name
            if parent_name is None:
                break
            check_name(parent_name, "parentName")
            parent = key[0], parent_name
            if parent not in new:
                outside.setdefault(parent, new[key])
            key = parent
        sound.update(chain)
    if not outside:
        return
    stored = await _which_exist(database, connection, outside)
    for (run_id, parent_name), action in outside.items():
        if (run_id, parent_name) not in stored:
            if run_id not in roots:
                raise RunNotFound(f"there is no run {action.id.run} to create {action.id.name} in")
            raise ActionNotFound(f"there is no action {parent_name}, the parent of {action.id}")


def _row_of(action: NewAction, now: datetime) -> dict[str, Any]:
    created_at = action.created_at or now
    progress = begin(action.phase, action.attempts, action.cache_status, created_at)
    run_id, name = action.id.key
    task, trigger = action.task, action.trigger
    named = (task.name if task else None, action.function_name)
    return {
        "run_id": run_id,
        "name": name,
        "project": action.id.project,
        "domain": action.id.domain,
        "run_name": action.id.run_name,
        "parent_name": action.parent_name,
        "type": action.type,
        "group": action.group,
        "phase": progress.phase,
        "attempts": progress.attempts,
        "cache_status": progress.cache_status,
        "source": action.source,
        "labels": _labels(action.labels),
        "task_project": task and task.project,
        "task_domain": task and task.domain,
        "task_name": task and task.name,
        "task_version": task and task.version,
        "task_type": action.task_type,
        "function_name": action.function_name,
        "environment_name": action.environment_name,
        "trigger_task_name": trigger and trigger.task_name,
        "trigger_name": trigger and trigger.name,
        "trigger_revision": trigger and trigger.revision,
        "created_by": identity_to_json(action.created_by),
        "created_by_subject": action.created_by and action.created_by.subject,
        "search_text": _search_text(name, *named),
        "run_search_text": None if action.parent_name else _search_text(action.id.run_name, *named),
        "spec": action.spec,
        "abort_attempt_count": 0,
        "created_at": created_at,
        "triggered_at": now if action.update_triggered_at else None,
        "started_at": progress.started_at,
        "ended_at": progress.ended_at,
        "updated_at": now,
    }


def _search_text(*names: str | None) -> str:
    """What a search looks through. A term cannot match across two names: no name holds U+0001."""
    return "\x01".join(name.casefold() for name in names if name)


def _labels(labels: Sequence[Label]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for label in labels:
        check_name(label.key, "label key")
        if label.key in by_key:
            raise InvalidArgument(f"label {label.key} is given twice")
        by_key[label.key] = label.value
    return by_key

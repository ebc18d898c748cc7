"""Owns counts by phase and the list of projects."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database
from repo.models import PhaseCount
from repo.tables import actions

Key = tuple[bytes, str]

c = actions.c


async def phases_of_runs(
    database: Database, connection: AsyncConnection, runs: Iterable[bytes]
) -> dict[bytes, list[PhaseCount]]:
    """All actions of each run by phase, the root included; phases with none are left out."""
    counted = select(c.run_id, c.phase, func.count()).group_by(c.run_id, c.phase).order_by(c.phase)
    statement = database.having_keys(counted, (c.run_id,), ((run_id,) for run_id in runs))
    counts: dict[bytes, list[PhaseCount]] = {}
    for run_id, phase, count in await connection.execute(statement):
        counts.setdefault(run_id, []).append(PhaseCount(phase, count))
    return counts


async def phases_of_descendants(
    database: Database, connection: AsyncConnection, keys: Iterable[Key]
) -> dict[Key, list[PhaseCount]]:
    """All descendants of each action by phase, itself not included; phases with none are left out."""
    children = select(c.run_id, c.parent_name.label("ancestor"), c.name, c.phase)
    tree = database.having_keys(children, (c.run_id, c.parent_name), keys).cte("tree", recursive=True)
    below = actions.alias("below")
    tree = tree.union_all(
        select(tree.c.run_id, tree.c.ancestor, below.c.name, below.c.phase).join(
            below, (below.c.run_id == tree.c.run_id) & (below.c.parent_name == tree.c.name)
        )
    )
    statement = (
        select(tree.c.run_id, tree.c.ancestor, tree.c.phase, func.count())
        .group_by(tree.c.run_id, tree.c.ancestor, tree.c.phase)
        .order_by(tree.c.phase)
    )
    counts: dict[Key, list[PhaseCount]] = {}
    for run_id, ancestor, phase, count in await connection.execute(statement):
        counts.setdefault((run_id, ancestor), []).append(PhaseCount(phase, count))
    return counts


async def projects(connection: AsyncConnection) -> dict[str, list[str]]:
    """The domains of each project, by name. Each pair is one step in an index, however many runs it has."""
    pair = select(c.project, c.domain).where(c.parent_name.is_(None))
    pair = pair.order_by(c.project, c.domain).limit(1)
    found: dict[str, list[str]] = {}
    row: Any = (await connection.execute(pair)).first()
    while row is not None:
        found.setdefault(row.project, []).append(row.domain)
        last = tuple_(row.project, row.domain)
        row = (await connection.execute(pair.where(tuple_(c.project, c.domain) > last))).first()
    return found

"""Owns counts by phase and the list of projects."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.database import Database
from repo.models import PhaseCount
from repo.tables import actions, is_root

c = actions.c


async def phases_of_runs(
    database: Database, connection: AsyncConnection, runs: Iterable[bytes]
) -> dict[bytes, list[PhaseCount]]:
    """All actions of each run by phase, the root included; phases with none are left out."""
    counted = select(c.run_key, c.phase, func.count()).group_by(c.run_key, c.phase).order_by(c.phase)
    counts: dict[bytes, list[PhaseCount]] = {}
    for key, phase, count in await connection.execute(database.having_keys(counted, c.run_key, runs)):
        counts.setdefault(key, []).append(PhaseCount(phase, count))
    return counts


async def phases_of_descendants(
    database: Database, connection: AsyncConnection, keys: Iterable[bytes]
) -> dict[bytes, list[PhaseCount]]:
    """All descendants of each action by phase, itself not included; phases with none are left out."""
    children = select(c.parent_key.label("ancestor_key"), c.key, c.phase)
    tree = database.having_keys(children, c.parent_key, keys).cte("tree", recursive=True)
    below = actions.alias("below")
    tree = tree.union_all(
        select(tree.c.ancestor_key, below.c.key, below.c.phase).join(below, below.c.parent_key == tree.c.key)
    )
    statement = (
        select(tree.c.ancestor_key, tree.c.phase, func.count())
        .group_by(tree.c.ancestor_key, tree.c.phase)
        .order_by(tree.c.phase)
    )
    counts: dict[bytes, list[PhaseCount]] = {}
    for key, phase, count in await connection.execute(statement):
        counts.setdefault(key, []).append(PhaseCount(phase, count))
    return counts


async def projects(connection: AsyncConnection) -> dict[str, list[str]]:
    """The domains of each project, by name. Each pair is one step in an index, however many runs it has."""
    pair = select(c.project, c.domain).where(is_root)
    pair = pair.order_by(c.project, c.domain).limit(1)
    found: dict[str, list[str]] = {}
    row: Any = (await connection.execute(pair)).first()
    while row is not None:
        found.setdefault(row.project, []).append(row.domain)
        last = tuple_(row.project, row.domain)
        row = (await connection.execute(pair.where(tuple_(c.project, c.domain) > last))).first()
    return found

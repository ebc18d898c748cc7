"""Owns counts by phase and the list of projects."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.access import Scopes
from repo.database import Database
from repo.drivers import Found
from repo.listing import within
from repo.models import PhaseCount
from repo.tables import actions, is_root

c = actions.c


async def phases_of_runs(
    database: Database, runs: Iterable[bytes], scopes: Scopes
) -> dict[bytes, list[PhaseCount]]:
    """All actions of each run in these scopes by phase, the root included; phases with none are left out."""
    given = database.given(c.run_key, runs)

    def statement() -> Select[Any]:
        counted = given.narrow(select(c.run_key, c.phase, func.count())).where(*within(scopes))
        return counted.group_by(c.run_key, c.phase).order_by(c.phase)

    return _by_key(await database.fetch(("phases of runs", given.key, scopes), statement, given.values))


async def phases_of_descendants(
    database: Database, keys: Iterable[bytes], scopes: Scopes
) -> dict[bytes, list[PhaseCount]]:
    """All descendants of each action in these scopes by phase, itself not included; phases with none are left
    out."""
    given = database.given(c.parent_key, keys)

    def statement() -> Select[Any]:
        children = given.narrow(select(c.parent_key.label("ancestor_key"), c.key, c.phase))
        children = children.where(*within(scopes))
        tree = children.cte("tree", recursive=True)
        below = actions.alias("below")
        tree = tree.union_all(
            select(tree.c.ancestor_key, below.c.key, below.c.phase).join(
                below, below.c.parent_key == tree.c.key
            )
        )
        counted = select(tree.c.ancestor_key, tree.c.phase, func.count())
        return counted.group_by(tree.c.ancestor_key, tree.c.phase).order_by(tree.c.phase)

    return _by_key(
        await database.fetch(("phases of descendants", given.key, scopes), statement, given.values)
    )


def _by_key(found: Found) -> dict[bytes, list[PhaseCount]]:
    counts: dict[bytes, list[PhaseCount]] = {}
    for key, phase, count in found.decoded():
        counts.setdefault(key, []).append(PhaseCount(phase, count))
    return counts


async def projects(connection: AsyncConnection, scopes: Scopes) -> dict[str, list[str]]:
    """The domains of each project in these scopes, by name. Each pair is one step in an index, however many
    runs it has."""
    pair = select(c.project, c.domain).where(is_root, *within(scopes))
    pair = pair.order_by(c.project, c.domain).limit(1)
    found: dict[str, list[str]] = {}
    row: Any = (await connection.execute(pair)).first()
    while row is not None:
        found.setdefault(row.project, []).append(row.domain)
        last = tuple_(row.project, row.domain)
        row = (await connection.execute(pair.where(tuple_(c.project, c.domain) > last))).first()
    return found

"""Owns counts by phase and the list of projects."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.models import PhaseCount
from repo.domain.phases import ActionPhase
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.functions import looked_up
from repo.sql.statements import ResultSet
from repo.tables import actions, is_root

c = actions.c


async def phases_of_runs(
    database: Database, runs: Iterable[bytes], scopes: Scopes
) -> dict[bytes, list[PhaseCount]]:
    """All actions of each run in these scopes by phase, the root included; phases with none are left out."""
    given = key_filter(database, c.run_key, runs)

    def statement() -> Select[Any]:
        counted = given.apply(select(c.run_key, c.phase, func.count())).where(*in_scopes(scopes))
        return counted.group_by(c.run_key, c.phase).order_by(c.phase)

    return _by_key(await database.fetch(("phases of runs", given.key, scopes), statement, given.values))


async def phases_of_descendants(
    database: Database, keys: Iterable[bytes], scopes: Scopes
) -> dict[bytes, list[PhaseCount]]:
    """All descendants of each action in these scopes by phase, itself not included; phases with none are left
    out. Each descendant is read once, however many of the actions it lies below."""
    given = key_filter(database, c.parent_key, keys)

    def statement() -> Select[Any]:
        parent, below = actions.alias("parent"), actions.alias("below")
        columns = (c.parent_key, parent.c.parent_key.label("above_key"), c.key, c.depth, c.phase)
        children = select(*columns).join_from(actions, parent, parent.c.key == looked_up(c.parent_key))
        tree = given.apply(children).where(*in_scopes(scopes)).cte("tree", recursive=True)
        step = (tree.c.key, tree.c.parent_key, below.c.key, below.c.depth, below.c.phase)
        # Not UNION ALL: what lies below several of the actions is the same row each time.
        tree = tree.union(select(*step).join(below, below.c.parent_key == looked_up(tree.c.key)))
        by = (tree.c.parent_key, tree.c.above_key, tree.c.depth, tree.c.phase)
        return select(*by, func.count()).group_by(*by).order_by(tree.c.depth.desc())

    key = ("phases of descendants", given.key, scopes)
    return _add_up((await database.fetch(key, statement, given.values)).decoded())


def _add_up(children: Iterable[Sequence[Any]]) -> dict[bytes, list[PhaseCount]]:
    """The descendants of each parent by phase, from its children by phase: each is its key, that of the
    parent above it, a depth, a phase and a count, the deepest first."""
    counts: dict[bytes, Counter[ActionPhase]] = {}
    above: dict[bytes, bytes | None] = {}
    for parent_key, above_key, _, phase, count in children:
        counts.setdefault(parent_key, Counter())[phase] += count
        above[parent_key] = above_key
    for parent_key, above_key in above.items():
        if above_key in counts:
            counts[above_key].update(counts[parent_key])
    return {key: [PhaseCount(*each) for each in sorted(of.items())] for key, of in counts.items()}


def _by_key(found: ResultSet) -> dict[bytes, list[PhaseCount]]:
    counts: dict[bytes, list[PhaseCount]] = {}
    for key, phase, count in found.decoded():
        counts.setdefault(key, []).append(PhaseCount(phase, count))
    return counts


async def projects(connection: AsyncConnection, scopes: Scopes) -> dict[str, list[str]]:
    """The domains of each project in these scopes, by name. Each pair is one step in an index, however many
    runs it has."""
    pair = select(c.project, c.domain).where(is_root, *in_scopes(scopes))
    pair = pair.order_by(c.project, c.domain).limit(1)
    found: dict[str, list[str]] = {}
    row: Any = (await connection.execute(pair)).first()
    while row is not None:
        found.setdefault(row.project, []).append(row.domain)
        last = tuple_(row.project, row.domain)
        row = (await connection.execute(pair.where(tuple_(c.project, c.domain) > last))).first()
    return found

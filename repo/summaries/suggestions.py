"""Suggestions for a search: tasks and people whose name contains a text. Each is found by one lookup in an
index, however many runs it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column, select, tuple_
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.util import ClauseAdapter

from repo.actions.lists import runs_in_scopes
from repo.actions.rows import ACTIONS
from repo.domain.authorization import Scopes
from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import folded
from repo.domain.models import Action, Identity
from repo.sql.database import Database
from repo.tables import actions, has_creator, has_task, runs

MAX_SUGGESTIONS = 50
"""Of each kind."""

_LOOKED_AT = 5_000
"""Names, each with the projects and domains that have it, that are compared with the text."""

r = runs.c


@dataclass(frozen=True, slots=True)
class SuggestedTask:
    """A task that runs of a project and domain executed."""

    project: str
    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What a text may mean: names that contain it, those that begin with it first."""

    tasks: list[SuggestedTask]
    people: list[Identity]


async def fetch_suggestions(database: Database, search: str, scopes: Scopes, first: int) -> Suggestions:
    """At most `first` tasks and people, of the runs in these scopes. Raises InvalidArgument."""
    if not 0 <= first <= MAX_SUGGESTIONS:
        raise InvalidArgument(f"first must be between 0 and {MAX_SUGGESTIONS}, not {first}")
    wanted = folded(search.strip())
    if not wanted or not first:
        return Suggestions([], [])
    tasks = [SuggestedTask(*row) for row in await _tasks(database, scopes)]
    people = {each.subject: each for each in await _people(database, scopes)}
    return Suggestions(
        tasks=_best(wanted, first, [((each.name,), each) for each in tasks]),
        people=_best(
            wanted,
            first,
            [((each.name or each.subject, each.subject, each.email or ""), each) for each in people.values()],
        ),
    )


def _best(wanted: str, first: int, named: Sequence[tuple[Sequence[str], Any]]) -> list[Any]:
    """Those with a name that contains the text, those that begin with it first, then by name."""
    found: list[Any] = []
    for names, each in named:
        texts = [folded(name) for name in names]
        if any(wanted in text for text in texts):
            starts = any(text.startswith(wanted) for text in texts)
            found.append((not starts, texts, len(found), each))
    return [each for *_, each in sorted(found)[:first]]


async def _tasks(database: Database, scopes: Scopes) -> list[Sequence[Any]]:
    found = await database.fetch(
        ("suggested tasks", scopes),
        lambda: _distinct(
            [r.project, r.domain, r.task_name], has_task, scopes, r.project, r.domain, r.task_name
        ),
        {},
    )
    return list(found.decoded())


async def _people(database: Database, scopes: Scopes) -> list[Identity]:
    def statement() -> Select[Any]:
        keys = _distinct([r.created_by_subject, r.project, r.domain], has_creator, scopes, r.key).subquery()
        columns = ACTIONS.select(("created_by_document",))
        return select(*columns).join_from(keys, actions, actions.c.key == keys.c.key)

    found = await database.fetch(("suggested people", scopes), statement, {})
    created = (action.created_by for action in found.rows(Action, ("created_by_document",)))
    return [each for each in created if each is not None]


def _distinct(
    by: Sequence[NamedColumn[Any]],
    has_value: ColumnElement[bool],
    scopes: Scopes,
    *columns: NamedColumn[Any],
) -> Select[Any]:
    """These columns of a run of each group, without reading the others: the first run of the next group is
    looked up in an index of the columns `by`."""
    next_run = select(r.number).where(has_value).order_by(*by).limit(literal_column("1"))
    groups = select(next_run.scalar_subquery().label("number")).cte("groups", recursive=True)
    other = runs.alias("other")
    of_other = [other.c[column.name] for column in by]
    following = (
        select(other.c.number)
        .where(ClauseAdapter(other).traverse(has_value))
        .where(tuple_(*of_other) > tuple_(*by))
        .order_by(*of_other)
        .limit(literal_column("1"))
        .correlate(runs)
    )
    groups = groups.union_all(
        select(following.scalar_subquery()).select_from(groups.join(runs, r.number == groups.c.number))
    )
    some = select(groups.c.number).limit(literal_column(str(_LOOKED_AT))).subquery()
    return select(*columns).join_from(some, runs, r.number == some.c.number).where(*runs_in_scopes(scopes))

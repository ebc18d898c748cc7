"""Reads columns of tables of actions: which there are, and their values."""

from asyncio import gather
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, bindparam, func, literal_column, select

from repo.actions.filters import ActionFilter, action_conditions
from repo.actions.lists import in_scopes
from repo.domain.authorization import Scopes
from repo.domain.columns import (
    MAX_DEPTH,
    MAX_DOCUMENT,
    MAX_TEXT,
    ActionColumn,
    ColumnSource,
    FoundColumn,
    FoundColumns,
    check_columns,
    is_usable,
    rows_of,
)
from repo.domain.identifiers import RunIdentifier
from repo.sql.database import Database
from repo.sql.documents import SEPARATOR, counted_values
from repo.sql.filters import key_filter
from repo.sql.functions import document_at, looked_up, small_document
from repo.sql.types import FreeText, Name
from repo.tables import action_events, action_metrics, actions

SEARCHED = 500
"""How many actions of a run are searched for columns."""
MAX_FOUND = 200
"""The most columns that are found in a source."""

c, e, m = actions.c, action_events.c, action_metrics.c

_ALL_OF_A_RUN = b"\0" * 16, b"\xff" * 16
"""The second halves of the keys of a run's actions are between these."""
_SIZE: ColumnElement[int] = literal_column(str(MAX_DOCUMENT))
_outputs = (
    select(e.outputs)
    .where(e.action_key == c.key, e.attempt == c.attempts, e.outputs.is_not(None))
    .order_by(e.phase.desc(), e.version.desc())
    .limit(literal_column("1"))
    .scalar_subquery()
)
_DOCUMENTS = {ColumnSource.SPEC: c.spec, ColumnSource.OUTPUTS: _outputs}

Values = dict[bytes, list[Any]]
"""The values of columns, by the key of their action."""


async def read_values(
    database: Database, scopes: Scopes, keys: Collection[bytes], columns: Sequence[ActionColumn]
) -> Values:
    """The values of the columns, of those of the actions that are in these scopes: numbers, texts, booleans,
    and None for all else. Raises InvalidArgument."""
    check_columns(columns)
    of_source = {
        source: [n for n, each in enumerate(columns) if each.source is source] for source in ColumnSource
    }
    values: Values = {key: [None] * len(columns) for key in keys}

    async def read(source: ColumnSource, places: list[int]) -> None:
        reading = _read_metrics if source is ColumnSource.METRICS else _read_documents
        for key, place, value in await reading(database, scopes, keys, source, columns, places):
            values[key][place] = value

    await gather(*(read(source, places) for source, places in of_source.items() if places))
    return values


async def _read_documents(
    database: Database,
    scopes: Scopes,
    keys: Collection[bytes],
    source: ColumnSource,
    columns: Sequence[ActionColumn],
    places: list[int],
) -> list[tuple[bytes, int, Any]]:
    by_key, paths = key_filter(database, c.key, keys), [columns[place].path for place in places]

    def statement() -> Select[Any]:
        named = _small(
            select(c.key, _DOCUMENTS[source].label("read")).where(*in_scopes(scopes)), by_key.apply
        )
        texts = (
            document_at(named.c.document, [_name(n, depth) for depth in range(len(path))], MAX_TEXT + 1)
            for n, path in enumerate(paths)
        )
        return select(named.c.key, *(text.label(f"text_{n}") for n, text in enumerate(texts)))

    shape = tuple(map(len, paths))
    names = {f"name_{n}_{depth}": name for n, path in enumerate(paths) for depth, name in enumerate(path)}
    key = ("values of documents", source, shape, by_key.key, scopes)
    rows = (await database.fetch(key, statement, by_key.values | names)).raw
    found = rows_of([row[1:] for row in rows])
    return [
        (bytes(row[0]), place, value)
        for row, values in zip(rows, found, strict=True)
        for place, value in zip(places, values, strict=True)
    ]


def _name(column: int, depth: int) -> Any:
    return bindparam(f"name_{column}_{depth}", type_=FreeText())


def _small(found: Select[Any], restricted: Any) -> Subquery:
    """The rows with `document`, which is null if it is large. OFFSET keeps the planner from reading the
    document once for each column."""
    rows = restricted(found).offset(literal_column("0")).subquery("reading")
    small = small_document(rows.c.read, _SIZE).label("document")
    kept = [each for each in rows.c if each.key != "read"]
    return select(*kept, small).offset(literal_column("0")).subquery("named")


async def _read_metrics(
    database: Database,
    scopes: Scopes,
    keys: Collection[bytes],
    source: ColumnSource,
    columns: Sequence[ActionColumn],
    places: list[int],
) -> list[tuple[bytes, int, Any]]:
    by_key = key_filter(database, m.action_key, keys)
    by_name: dict[str, list[int]] = {}
    for place in places:
        by_name.setdefault(columns[place].path[0], []).append(place)

    def statement() -> Select[Any]:
        names = [bindparam(f"name_{n}", type_=Name) for n in range(len(by_name))]
        found = select(m.action_key, m.name, m.last).join(actions, m.action_key == c.key)
        return by_key.apply(found.where(m.name.in_(names), *in_scopes(scopes)))

    key = ("values of metrics", len(by_name), by_key.key, scopes)
    names = {f"name_{n}": name for n, name in enumerate(by_name)}
    rows = (await database.fetch(key, statement, by_key.values | names)).decoded()
    return [(bytes(of), place, value) for of, name, value in rows for place in by_name[name]]


async def find_columns(
    database: Database, scopes: Scopes, run_id: RunIdentifier, filter: ActionFilter | None
) -> FoundColumns:
    """The columns of SEARCHED matching actions of a run. Keys are digests, so those with the lowest keys are
    any."""
    values = {"lowest": run_id.key + _ALL_OF_A_RUN[0], "highest": run_id.key + _ALL_OF_A_RUN[1]}

    def some(*columns: Any) -> Select[Any]:
        lowest, highest = (bindparam(name, type_=c.key.type) for name in values)
        of_run = select(*columns).where(c.key >= lowest, c.key <= highest)
        matching = of_run.where(*in_scopes(scopes), *action_conditions(filter))
        return matching.order_by(c.key).limit(literal_column(str(SEARCHED)))

    async def fetch(name: str, make: Any) -> list[list[Any]]:
        return (await database.fetch((name, filter, scopes), make, values)).decoded()

    def of_documents(source: ColumnSource) -> Any:
        def statement() -> Select[Any]:
            documents = _small(some(_DOCUMENTS[source].label("read")), lambda found: found)
            return counted_values(database, documents, MAX_DEPTH, MAX_FOUND)

        return fetch(f"columns of {source.name}", statement)

    def of_metrics() -> Select[Any]:
        named = some(c.key).subquery()
        counts = func.count(), func.count(m.last.distinct()), func.max(m.unit)
        found = select(m.name, *counts).join_from(
            named, action_metrics, m.action_key == looked_up(named.c.key)
        )
        return found.group_by(m.name).order_by(counts[0].desc(), m.name).limit(literal_column(str(MAX_FOUND)))

    counted, specs, outputs, metrics = await gather(
        fetch("actions searched", lambda: select(func.count()).select_from(some(c.key).subquery())),
        of_documents(ColumnSource.SPEC),
        of_documents(ColumnSource.OUTPUTS),
        fetch("columns of METRICS", of_metrics),
    )
    found = [
        FoundColumn(ActionColumn(source, path), *counts)
        for source, rows in ((ColumnSource.SPEC, specs), (ColumnSource.OUTPUTS, outputs))
        for joined, *counts in rows
        if all(map(is_usable, path := tuple(joined.split(SEPARATOR))))
    ]
    found += [
        FoundColumn(ActionColumn(ColumnSource.METRICS, (name,)), count, count, distinct, unit)
        for name, count, distinct, unit in metrics
    ]
    return FoundColumns(counted[0][0], found)

"""Reads and writes the metrics of actions."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Select, select

from repo.actions.lists import in_scopes
from repo.domain.authorization import Scope
from repo.domain.reports import Metric, NewMetric, first_value
from repo.sql.batches import fetch_having, insert_new, update_rows
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.sql.transactions import Transaction
from repo.tables import action_metrics, actions

m = action_metrics.c
_COLUMNS = [m["series" if each.name == "sample" else each.name] for each in fields(Metric)]

_NO_SERIES = (0, ())

Metrics = dict[bytes, dict[str, Metric]]
"""Metrics by name, by the key of their action."""


async def read_metrics(
    database: Database, scopes: frozenset[Scope] | None, keys: Collection[bytes], with_series: bool
) -> dict[bytes, list[Metric]]:
    """The metrics of those of the actions that are in these scopes, by name."""
    by_key = key_filter(database, m.action_key, keys)
    columns = _COLUMNS if with_series else [each for each in _COLUMNS if each is not m.series]

    def statement() -> Select[Any]:
        found = select(m.action_key, *columns).join(actions, m.action_key == actions.c.key)
        return by_key.apply(found.where(*in_scopes(scopes)))

    key = ("metrics", by_key.key, scopes, with_series)
    rows = (await database.fetch(key, statement, by_key.values)).decoded()
    metrics = _by_action(rows if with_series else [(*row, _NO_SERIES) for row in rows])
    return {key: [metrics[key][name] for name in sorted(metrics.get(key, ()))] for key in keys}


async def stored_metrics(transaction: Transaction, keys: Iterable[bytes]) -> Metrics:
    """The metrics of actions that are locked."""
    return _by_action(await fetch_having(transaction, "metrics", m.action_key, keys, _stored))


def _stored(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    return restricted(select(m.action_key, *_COLUMNS))


def _by_action(rows: Iterable[Sequence[Any]]) -> Metrics:
    metrics: Metrics = {}
    for key, *values, series in rows:
        level, points = series
        metric = Metric(*[*values, (level, tuple([(at, value) for at, value in points]))])
        metrics.setdefault(key, {})[metric.name] = metric
    return metrics


def with_values(stored: Mapping[str, Metric], new: Iterable[NewMetric]) -> dict[str, Metric]:
    """The metrics of an action with further values."""
    by_name: dict[str, list[NewMetric]] = {}
    for each in new:
        by_name.setdefault(each.name, []).append(each)
    merged = dict(stored)
    for name, values in by_name.items():
        merged[name] = (stored.get(name) or first_value(values[0])).with_values(values)
    return merged


async def store_metrics(transaction: Transaction, before: Metrics, after: Metrics) -> set[bytes]:
    """Store the metrics that changed and return the keys of their actions."""
    new, updated = [], []
    for key, metrics in sorted(after.items()):
        stored = before.get(key, {})
        for name, metric in sorted(metrics.items()):
            if name not in stored:
                new.append(_row_of(key, metric))
            elif metric != stored[name]:
                updated.append(_row_of(key, metric))
    await insert_new(transaction, action_metrics, new)
    await update_rows(transaction, action_metrics, updated)
    return {row["action_key"] for row in (*new, *updated)}


def _row_of(key: bytes, metric: Metric) -> dict[str, Any]:
    columns = (column.name for column in _COLUMNS)
    values = (getattr(metric, each.name) for each in fields(Metric))
    return {"action_key": key, **dict(zip(columns, values, strict=True))}

"""Reads of runs, for one caller: by key, in pages, and counted."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from repo.actions.events import check_limit
from repo.actions.filters import RunFilter
from repo.actions.lists import in_scopes, runs_in_scopes
from repo.actions.rows import ACTION_COLUMNS, RUNS, Attributes
from repo.actions.run_pages import count_runs, fetch_run_page, matching_runs
from repo.domain.authorization import Access
from repo.domain.models import Action, PhaseCount, Run
from repo.domain.pages import Order, Page, PageRequest
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.tables import actions, is_root, runs

NEWEST_FIRST = Order()

c = actions.c
r = runs.c


class Runs:
    """The runs that a caller may read."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def find(self, keys: Collection[bytes], attributes: Attributes = None) -> dict[bytes, Run]:
        """Those of the runs that exist, by their keys, with these attributes or all."""
        names = RUNS.names(None if attributes is None else attributes | {"run_key"})
        scopes, by_key = self._access.readable, key_filter(self._database, c.run_key, keys)
        found = await self._database.fetch(
            ("runs", names, by_key.key, scopes),
            lambda: by_key.apply(select(*RUNS.select(names)).where(is_root, *in_scopes(scopes))),
            by_key.values,
        )
        return {run.run_key: run for run in found.rows(Run, names)}

    async def page(
        self,
        filter: RunFilter | None = None,
        order: Order = NEWEST_FIRST,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> Page[Run]:
        """A page of the runs that match, with these attributes or all. Raises InvalidCursor."""
        names = RUNS.names(attributes)
        return await fetch_run_page(
            self._database,
            names,
            filter,
            self._access.readable,
            order,
            page,
            lambda found: found.rows(Run, names),
        )

    async def list_roots(self, filter: RunFilter, limit: int | None) -> list[Action]:
        """The root actions of the runs that match, newest first."""
        check_limit(limit)
        scopes = self._access.readable
        found = matching_runs(self._database, filter, scopes, r.key, r.created_at).subquery()
        newest = select(found).order_by(found.c.created_at.desc(), found.c.key.desc()).limit(limit).subquery()
        statement = select(*ACTION_COLUMNS).join_from(newest, actions, c.key == newest.c.key)
        statement = statement.order_by(newest.c.created_at.desc(), newest.c.key.desc())
        async with self._database.read() as connection:
            return [Action(*row) for row in await connection.execute(statement)]

    async def count(self, filter: RunFilter | None = None, at_most: int | None = None) -> int:
        """The number of runs that match, or `at_most` if there are more; reads all that it counts. Raises
        InvalidArgument."""
        check_limit(at_most, "atMost")
        return await count_runs(self._database, filter, self._access.readable, at_most)

    async def count_phases(self, run_keys: Collection[bytes]) -> dict[bytes, list[PhaseCount]]:
        """All actions of each run by phase, the root included; phases without any are left out."""
        scopes, by_key = self._access.readable, key_filter(self._database, c.run_key, run_keys)

        def statement() -> Select[Any]:
            counted = by_key.apply(select(c.run_key, c.phase, func.count())).where(*in_scopes(scopes))
            return counted.group_by(c.run_key, c.phase).order_by(c.phase)

        found = await self._database.fetch(("phases of runs", by_key.key, scopes), statement, by_key.values)
        counts: dict[bytes, list[PhaseCount]] = {key: [] for key in run_keys}
        for key, phase, count in found.decoded():
            counts[key].append(PhaseCount(phase, count))
        return counts

    async def list_projects(self) -> dict[str, list[str]]:
        """The projects that have runs, each with its domains, by name. Each pair is one index lookup, however
        many runs it has."""
        pair = select(r.project, r.domain).where(*runs_in_scopes(self._access.readable))
        pair = pair.order_by(r.project, r.domain).limit(1)
        domains: dict[str, list[str]] = {}
        async with self._database.read() as connection:
            row: Any = (await connection.execute(pair)).first()
            while row is not None:
                domains.setdefault(row.project, []).append(row.domain)
                last = tuple_(row.project, row.domain)
                row = (await connection.execute(pair.where(tuple_(r.project, r.domain) > last))).first()
        return domains

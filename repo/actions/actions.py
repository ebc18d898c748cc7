"""Reads and writes of actions, for one caller: by key, in pages, counted, created and updated in batches."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.sql.elements import NamedColumn

from repo.actions import counts
from repo.actions.filters import ActionFilter, action_conditions
from repo.actions.group_commit import GroupCommit, check_batch
from repo.actions.lists import in_scopes, order_of_actions
from repo.actions.phase_updates import Updates
from repo.actions.rows import ACTIONS, Attributes
from repo.domain.authorization import Access, Permission
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import Action, NewAction, PhaseCount
from repo.domain.pages import Order, Page, PageRequest
from repo.domain.phases import PhaseUpdateResult
from repo.sql.database import Database
from repo.sql.filters import having_keys, key_filter
from repo.sql.paging import fetch_page, fetch_pages
from repo.tables import actions

Creations = GroupCommit[Sequence[NewAction], int]
PhaseUpdates = GroupCommit[Updates, list[PhaseUpdateResult]]

c = actions.c


class Actions:
    """The actions that a caller may read and write."""

    def __init__(
        self, database: Database, access: Access, creations: Creations, phase_updates: PhaseUpdates
    ) -> None:
        self._database = database
        self._access = access
        self._creations = creations
        self._phase_updates = phase_updates

    async def get_many(self, action_ids: Iterable[ActionIdentifier]) -> dict[ActionIdentifier, Action]:
        """Those of the actions that exist."""
        found = await self.find([action_id.key for action_id in action_ids])
        return {action.identifier: action for action in found.values()}

    async def find(self, keys: Collection[bytes], attributes: Attributes = None) -> dict[bytes, Action]:
        """Those of the actions that exist, by their keys, with these attributes or all."""
        names = ACTIONS.names(None if attributes is None else attributes | {"key"})
        scopes, by_key = self._access.readable, key_filter(self._database, c.key, keys)
        found = await self._database.fetch(
            ("actions", names, by_key.key, scopes),
            lambda: by_key.apply(select(*ACTIONS.select(names)).where(*in_scopes(scopes))),
            by_key.values,
        )
        return {action.key: action for action in found.rows(Action, names)}

    async def page(
        self,
        run_id: RunIdentifier | None = None,
        filter: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> Page[Action]:
        """A page of the actions of one run, parents before their children, or of all runs, newest first;
        with these attributes or all. Raises InvalidCursor."""
        in_a_run, names, scopes = run_id is not None, ACTIONS.names(attributes), self._access.readable

        def statement() -> Select[Any]:
            found = select(*ACTIONS.select(names)).where(*in_scopes(scopes), *action_conditions(filter))
            return found.where(c.run_key == bindparam("run_key", type_=c.run_key.type)) if in_a_run else found

        return await fetch_page(
            self._database,
            ("list of actions", in_a_run, names, filter, scopes),
            statement,
            order_of_actions(order, in_a_run),
            page,
            lambda found: found.rows(Action, names),
            {} if run_id is None else {"run_key": run_id.key},
        )

    async def page_of_runs(
        self,
        run_keys: Collection[bytes],
        filter: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> dict[bytes, Page[Action]]:
        """The same page of each run's actions, in one statement. Raises InvalidCursor."""
        return await self._pages(c.run_key, run_keys, filter, order, page, attributes)

    async def page_of_children(
        self,
        parent_keys: Collection[bytes],
        filter: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> dict[bytes, Page[Action]]:
        """The same page of each parent's children, in one statement. Raises InvalidCursor."""
        return await self._pages(c.parent_key, parent_keys, filter, order, page, attributes)

    async def _pages(
        self,
        scope: NamedColumn[Any],
        keys: Collection[bytes],
        filter: ActionFilter | None,
        order: Order | None,
        page: PageRequest,
        attributes: Attributes,
    ) -> dict[bytes, Page[Action]]:
        names, scopes = ACTIONS.names(attributes), self._access.readable
        return await fetch_pages(
            self._database,
            ("pages of actions", scope.name, names, filter, scopes),
            lambda: select(*ACTIONS.select(names)).where(*in_scopes(scopes), *action_conditions(filter)),
            scope,
            set(keys),
            order_of_actions(order, within_a_run=True),
            page,
            lambda found: found.rows(Action, names),
        )

    async def count(self, run_id: RunIdentifier | None = None, filter: ActionFilter | None = None) -> int:
        """The number of actions of a run, or of all runs, that match; reads all of them."""
        in_run = [] if run_id is None else [c.run_key == run_id.key]
        matching = (*in_run, *in_scopes(self._access.readable), *action_conditions(filter))
        async with self._database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(actions).where(*matching)) or 0

    async def count_of_runs(
        self, run_keys: Collection[bytes], filter: ActionFilter | None = None
    ) -> dict[bytes, int]:
        """The number of each run's actions that match."""
        return await self._counts(c.run_key, run_keys, filter)

    async def count_children(
        self, parent_keys: Collection[bytes], filter: ActionFilter | None = None
    ) -> dict[bytes, int]:
        """The number of each parent's children that match."""
        return await self._counts(c.parent_key, parent_keys, filter)

    async def _counts(
        self, scope: NamedColumn[Any], keys: Collection[bytes], filter: ActionFilter | None
    ) -> dict[bytes, int]:
        matching = (*in_scopes(self._access.readable), *action_conditions(filter))
        counted = select(scope, func.count()).where(*matching).group_by(scope)
        async with self._database.read() as connection:
            rows = await connection.execute(having_keys(self._database, counted, scope, keys))
        return dict.fromkeys(keys, 0) | {key: count for key, count in rows}

    async def count_phases_of_descendants(self, keys: Collection[bytes]) -> dict[bytes, list[PhaseCount]]:
        """All descendants of each action by phase; phases without any are left out."""
        found = await counts.phases_of_descendants(self._database, keys, self._access.readable)
        return {key: found.get(key, []) for key in keys}

    async def create(self, new: Sequence[NewAction]) -> int:
        """Create the actions in one transaction and return how many were new. A parent may be among them, in
        any order. Raises as `ActionRepo.create_action` does, and then nothing is created."""
        check_batch(new)
        self._access.check(Permission.WRITE, (action.id for action in new))
        return await self._creations.write(new, len(new))

    async def update_phases(self, updates: Updates) -> list[PhaseUpdateResult]:
        """Apply the updates in their order, in one transaction. An action below an aborted one is aborted
        instead of reopened. Raises ActionNotFound, and then nothing changes."""
        check_batch(updates)
        self._access.check(Permission.WRITE, (action_id for action_id, _ in updates))
        return await self._phase_updates.write(updates, len(updates)) if updates else []

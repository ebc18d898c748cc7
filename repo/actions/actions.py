"""Reads and writes of actions, for one caller: by key, in pages, counted, created and updated in batches."""

from asyncio import gather
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.sql.selectable import Subquery

from repo.actions.activity import Activity
from repo.actions.columns import Values, find_columns, read_values
from repo.actions.filters import ActionFilter, action_conditions
from repo.actions.group_commit import GroupCommit, check_batch
from repo.actions.lists import in_scopes, order_of_actions
from repo.actions.metrics import read_metrics
from repo.actions.phase_updates import Updates
from repo.actions.rows import ACTIONS, Attributes
from repo.actions.states import StateUpdate
from repo.domain.authorization import Access, Permission
from repo.domain.columns import ActionColumn, FoundColumns
from repo.domain.errors import ActionNotFound, InvalidArgument
from repo.domain.identifiers import ActionIdentifier, RunIdentifier
from repo.domain.models import Action, NewAction, PhaseCount
from repo.domain.pages import Order, OrderField, Page, PageRequest
from repo.domain.phases import ActionPhase, PhaseUpdateResult
from repo.domain.reports import Metric
from repo.sql.database import Database
from repo.sql.filters import having_keys, key_filter
from repo.sql.functions import looked_up
from repo.sql.long_lists import fetch_scanned_page, fetch_sorted_page
from repo.sql.paging import fetch_page, fetch_pages
from repo.sql.statements import ResultSet
from repo.tables import actions, is_root

Creations = GroupCommit[Sequence[NewAction], int]
PhaseUpdates = GroupCommit[Updates, list[PhaseUpdateResult]]
States = GroupCommit[StateUpdate, None]

SEARCHED_ACTIONS = 10_000
"""How many of the actions of all runs a page with a filter searches."""

c = actions.c


class Actions:
    """The actions that a caller may read and write."""

    def __init__(
        self,
        database: Database,
        access: Access,
        creations: Creations,
        phase_updates: PhaseUpdates,
        states: States,
        activity: Activity,
    ) -> None:
        self._database = database
        self._access = access
        self._creations = creations
        self._phase_updates = phase_updates
        self._states = states
        self._activity = activity

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
        with these attributes or all. With a filter, a page of all runs may have fewer items than requested,
        even none, although more follow: each searches a limited number of actions. Raises InvalidCursor, and
        InvalidArgument for another order of all runs."""
        in_a_run, names, scopes = run_id is not None, ACTIONS.names(attributes), self._access.readable
        if not in_a_run and order is not None and order.field is not OrderField.CREATED_AT:
            raise InvalidArgument(
                f"actions of all runs are ordered by CREATED_AT; for {order.field.name}, name a run"
            )
        key, keyset = ("list of actions", in_a_run, names, filter, scopes), order_of_actions(order, in_a_run)
        matching = action_conditions(filter)

        def read(found: ResultSet) -> Sequence[Action]:
            return found.rows(Action, names)

        def statement() -> Select[Any]:
            found = select(*ACTIONS.select(names)).where(*in_scopes(scopes))
            return found.where(c.run_key == bindparam("run_key", type_=c.run_key.type)) if in_a_run else found

        if matching and not in_a_run:
            return await fetch_scanned_page(
                self._database, key, statement, lambda: and_(*matching), keyset, page, read, SEARCHED_ACTIONS
            )
        values = {} if run_id is None else {"run_key": run_id.key}
        if in_a_run and order is not None:

            def keys() -> Select[Any]:
                return statement().with_only_columns(c.key).where(*matching)

            def rows(found: Subquery) -> Select[Any]:
                page_row = actions.alias("page_row")
                columns = (page_row.c[column.name] for column in ACTIONS.select(names))
                return select(*columns).join_from(found, page_row, page_row.c.key == looked_up(found.c.key))

            return await fetch_sorted_page(self._database, key, keys, rows, keyset, page, read, values)
        return await fetch_page(
            self._database, key, lambda: statement().where(*matching), keyset, page, read, values
        )

    async def pages(
        self,
        by: Literal["run_key", "parent_key"],
        keys: Collection[bytes],
        filter: ActionFilter | None = None,
        order: Order | None = None,
        page: PageRequest = PageRequest(),
        attributes: Attributes = None,
    ) -> dict[bytes, Page[Action]]:
        """The same page of each run's actions, or of each parent's children, in one statement. Raises
        InvalidCursor."""
        names, scopes = ACTIONS.names(attributes), self._access.readable
        return await fetch_pages(
            self._database,
            ("pages of actions", by, names, filter, scopes),
            lambda: select(*ACTIONS.select(names)).where(*in_scopes(scopes), *action_conditions(filter)),
            c[by],
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

    async def counts(
        self,
        by: Literal["run_key", "parent_key"],
        keys: Collection[bytes],
        filter: ActionFilter | None = None,
    ) -> dict[bytes, int]:
        """The number of each run's actions, or of each parent's children, that match."""
        matching = (*in_scopes(self._access.readable), *action_conditions(filter))
        counted = select(c[by], func.count()).where(*matching).group_by(c[by])
        async with self._database.read() as connection:
            rows = await connection.execute(having_keys(self._database, counted, c[by], keys))
        return dict.fromkeys(keys, 0) | {key: count for key, count in rows}

    async def count_phases_of_descendants(self, keys: Collection[bytes]) -> dict[bytes, list[PhaseCount]]:
        """All descendants of each action by phase; phases without any are left out. Those of a root are the
        other actions of its run. Any other descendant is read once, even if it is below several of the
        actions."""
        of_roots, of_others = await gather(self._count_members(keys), self._count_below(keys))
        counts = of_others | of_roots
        return {key: [PhaseCount(*each) for each in sorted(counts.get(key, {}).items())] for key in keys}

    async def _count_members(self, keys: Collection[bytes]) -> dict[bytes, dict[ActionPhase, int]]:
        """The other actions of the run by phase, for those of these actions that are roots."""
        root = actions.alias("root")
        by_key, run_keys = key_filter(self._database, root.c.key, keys), {key[:16] for key in keys}
        scopes, one_run = self._access.readable, len(run_keys) == 1

        def statement() -> Select[Any]:
            members = (~is_root, *in_scopes(scopes))
            if not one_run:
                of_run = and_(c.run_key == root.c.run_key, root.c.parent_key.is_(None))
                counted = select(root.c.key, c.phase, func.count()).join_from(root, actions, of_run)
                return by_key.apply(counted).where(*members).group_by(root.c.key, c.phase)
            # Not joined: a planner would expect few actions, and sort them.
            of_run = c.run_key == bindparam("run_key", type_=c.run_key.type)
            named = by_key.apply(select(root.c.key)).where(root.c.parent_key.is_(None)).scalar_subquery()
            counted = select(named.label("root"), c.phase, func.count()).where(of_run, *members)
            return counted.where(named.is_not(None)).group_by(c.phase)

        key = ("phases of members", by_key.key, one_run, scopes)
        values = by_key.values | ({"run_key": run_keys.pop()} if one_run else {})
        counts: dict[bytes, dict[ActionPhase, int]] = {}
        for root_key, phase, count in (await self._database.fetch(key, statement, values)).decoded():
            counts.setdefault(root_key, {})[phase] = count
        return counts

    async def _count_below(self, keys: Collection[bytes]) -> dict[bytes, Counter[ActionPhase]]:
        """The descendants by phase, for those of these actions that are not roots."""
        parent, below = actions.alias("parent"), actions.alias("below")
        scopes, by_key = self._access.readable, key_filter(self._database, parent.c.key, keys)

        def statement() -> Select[Any]:
            tops = by_key.apply(select(parent.c.key, parent.c.parent_key))
            top = tops.where(parent.c.parent_key.is_not(None)).cte("top")
            columns = (c.parent_key, top.c.parent_key.label("above_key"), c.key, c.depth, c.phase)
            children = select(*columns).join_from(top, actions, c.parent_key == looked_up(top.c.key))
            tree = children.where(*in_scopes(scopes)).cte("tree", recursive=True)
            step = (tree.c.key, tree.c.parent_key, below.c.key, below.c.depth, below.c.phase)
            # Not UNION ALL: what is below several of the actions is the same row each time.
            tree = tree.union(select(*step).join(below, below.c.parent_key == looked_up(tree.c.key)))
            by = (tree.c.parent_key, tree.c.above_key, tree.c.depth, tree.c.phase)
            return select(*by, func.count()).group_by(*by).order_by(tree.c.depth.desc())

        key = ("phases of descendants", by_key.key, scopes)
        return _sum_up((await self._database.fetch(key, statement, by_key.values)).decoded())

    async def list_metrics(
        self, keys: Collection[bytes], attributes: Attributes = None
    ) -> dict[bytes, list[Metric]]:
        """The metrics of each action, by name; without their series if `attributes` does not have it."""
        with_series = attributes is None or "series" in attributes
        return await read_metrics(self._database, self._access.readable, keys, with_series)

    async def list_values(self, keys: Collection[bytes], columns: Sequence[ActionColumn]) -> Values:
        """The values of each action in these columns. Raises InvalidArgument."""
        return await read_values(self._database, self._access.readable, keys, columns)

    async def list_columns(self, run_id: RunIdentifier, filter: ActionFilter | None = None) -> FoundColumns:
        """The columns that some of the matching actions of a run have values in."""
        return await find_columns(self._database, self._access.readable, run_id, filter)

    async def create(self, new: Sequence[NewAction]) -> int:
        """Create the actions in one transaction and return how many were new. A parent may be among them, in
        any order. Raises as `ActionRepo.create_action` does, and then nothing is created."""
        check_batch(new)
        self._access.check(Permission.WRITE, (action.id for action in new))
        created = await self._creations.write(new, len(new))
        self._activity.note_created(action.id for action in new if action.parent_name is None)
        self._activity.note(action.id for action in new)
        return created

    async def update_phases(self, updates: Updates) -> list[PhaseUpdateResult]:
        """Apply the updates in their order, in one transaction. An action below an aborted one is aborted
        instead of reopened. Raises ActionNotFound, and then nothing changes."""
        check_batch(updates)
        self._access.check(Permission.WRITE, (action_id for action_id, _ in updates))
        results = await self._phase_updates.write(updates, len(updates)) if updates else []
        self._activity.note(action_id for action_id, _ in updates)
        return results

    async def get_state(self, action_id: ActionIdentifier) -> str | None:
        """See `ActionRepo.get_action_state`."""
        statement = select(c.state).where(c.key == action_id.key, *in_scopes(self._access.readable))
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            raise ActionNotFound(f"there is no action {action_id}")
        state: str | None = row.state
        return state

    async def set_state(self, action_id: ActionIdentifier, **values: str) -> None:
        """Store the `state`, if given, and notify the watchers. Raises ActionNotFound."""
        self._access.check(Permission.WRITE, [action_id])
        await self._states.write((action_id, values), 1)
        self._activity.note([action_id])


def _sum_up(children: Iterable[Sequence[Any]]) -> dict[bytes, Counter[ActionPhase]]:
    """The descendants of each parent by phase, from the counts of its children: rows of the parent's key, the
    key of the action above it, the depth, a phase and a count, the deepest first."""
    counts: dict[bytes, Counter[ActionPhase]] = {}
    above: dict[bytes, bytes | None] = {}
    for parent_key, above_key, _, phase, count in children:
        counts.setdefault(parent_key, Counter())[phase] += count
        above[parent_key] = above_key
    for parent_key, above_key in above.items():
        if above_key in counts:
            counts[above_key].update(counts[parent_key])
    return counts

"""The fields of Query."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

import repo
from graph.auth.caller import Caller
from graph.context import Call
from graph.execution import selected
from graph.limits.cost import SHORT_LIST, paged
from graph.schema.columns import ColumnQueries
from graph.schema.inputs.filters import Filter, RunFilterArgument, filter_of_actions
from graph.schema.inputs.records import ActionId, OrderBy, RunId, RunIdentifierInput, order_of
from graph.schema.logs import LogQueries
from graph.schema.overview import OverviewQueries
from graph.schema.run_grid import RunGrid
from graph.schema.summaries import RunHistogramBucket, TaskSummaryConnection
from graph.schema.types import values
from graph.schema.types.connections import (
    After,
    Before,
    Connection,
    First,
    Last,
    check_page_size,
    page_request,
)
from graph.schema.types.node_ids import parse_id
from graph.schema.types.records import Action, ActionConnection, Node, Run, RunConnection
from graph.schema.viewer import Viewer

NEWEST_FIRST = repo.Order()
GRID_ROWS = 200
"""The rows of a grid of runs by default."""


@strawberry.type(description="Queries.")
class Query(LogQueries, OverviewQueries, ColumnQueries):
    @strawberry.field(
        description="A run, an action or an event by its id. Null if it does not exist.",
        graphql_type=Node | None,
    )
    async def node(
        self, info: Call, id: Annotated[strawberry.ID, strawberry.argument("The id.")]
    ) -> repo.Run | repo.Action | repo.ActionEvent | None:
        loaders = info.context.loaders
        match parse_id(id):
            case repo.RunIdentifier() as run:
                return await loaders.run.load((run.key, (selected(info, "Run"),)))
            case repo.ActionIdentifier() as action:
                return await loaders.action.load((action.key, (selected(info, "Action"),)))
            case repo.EventKey() as event:
                return await loaders.event.load((event, ()))

    @strawberry.field(description="A run by its name. Null if it does not exist.", graphql_type=Run | None)
    async def run(self, info: Call, id: RunId) -> repo.Run | None:
        return await info.context.loaders.run.load((id.to_repo().key, (selected(info, "Run"),)))

    @strawberry.field(
        description="The runs, newest first by default, at most 1000 a page.",
        graphql_type=RunConnection,
        metadata=paged("first", "last"),
    )
    async def runs(
        self,
        info: Call,
        filter: RunFilterArgument = None,
        order_by: OrderBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[repo.Run]:
        repository = info.context.repository
        criteria = filter.to_repo() if filter else None
        request = page_request(info, first, after, last, before)
        order = order_of(order_by) or NEWEST_FIRST
        page = await repository.runs.page(criteria, order, request, attributes=selected(info, "Run"))
        return Connection(page, count_at_most=partial(repository.runs.count, criteria))

    @strawberry.field(
        description="An action by its name. Null if it does not exist.", graphql_type=Action | None
    )
    async def action(self, info: Call, id: ActionId) -> repo.Action | None:
        return await info.context.loaders.action.load((id.to_repo().key, (selected(info, "Action"),)))

    @strawberry.field(
        description="The actions of one run, by default parents before their children, or of all runs by "
        "creation, newest first by default; at most 1000 a page. With a filter but without a run, a page "
        "searches 10,000 actions: it may have fewer items than requested, even none, while `hasNextPage` is "
        "true; `endCursor` continues the search. `totalCount` searches all actions.",
        graphql_type=ActionConnection,
        metadata=paged("first", "last"),
    )
    async def actions(
        self,
        info: Call,
        run: Annotated[RunIdentifierInput | None, strawberry.argument("Only actions of this run.")] = None,
        filter: Filter = None,
        order_by: OrderBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[repo.Action]:
        repository = info.context.repository
        within = run.to_repo() if run else None
        criteria = filter_of_actions(filter)
        order = order_of(order_by)
        request = page_request(info, first, after, last, before)
        page = await repository.list_actions(
            within, criteria, order, request, attributes=selected(info, "Action")
        )
        return Connection(page, lambda: repository.actions.count(within, criteria))

    @strawberry.field(
        description="Actions with an unconfirmed abort, oldest request first. Executors may poll it.",
        graphql_type=ActionConnection,
        metadata=paged("first"),
    )
    async def pending_aborts(
        self, info: Call, first: First = None, after: After = None
    ) -> Connection[repo.Action]:
        repository = info.context.repository
        page = await repository.aborts.page_pending(page_request(info, first, after))
        return Connection(page, repository.aborts.count_pending)

    @strawberry.field(
        description="Runs aggregated by task, the one with the newest run first; at most 1000 a page.",
        graphql_type=TaskSummaryConnection,
        metadata=paged("first"),
    )
    async def tasks(
        self, info: Call, filter: RunFilterArgument = None, first: First = None, after: After = None
    ) -> Connection[repo.TaskSummary]:
        repository = info.context.repository
        criteria = filter.to_repo() if filter else None
        page = await repository.summaries.list_tasks(criteria, page_request(info, first, after))
        return Connection(page, lambda: repository.summaries.count_tasks(criteria))

    @strawberry.field(
        description="The number of runs that began in each of several equal intervals, oldest first. A run "
        "begins at triggeredAt, or at createdAt if it was never triggered.",
        graphql_type=list[RunHistogramBucket],
        metadata=paged("buckets", default=60),
    )
    async def run_histogram(
        self,
        info: Call,
        start_date: Annotated[datetime, strawberry.argument("Start of the time range, inclusive.")],
        end_date: Annotated[datetime, strawberry.argument("End of the time range, exclusive.")],
        filter: RunFilterArgument = None,
        buckets: Annotated[int, strawberry.argument("The number of intervals, at most 500.")] = 60,
    ) -> list[repo.RunHistogramBucket]:
        criteria = filter.to_repo() if filter else None
        return await info.context.repository.summaries.list_histogram(start_date, end_date, buckets, criteria)

    @strawberry.field(
        description="The newest runs that match, side by side with their actions, such as the last runs of a "
        "task: where and since when they fail.",
        graphql_type=RunGrid,
        metadata=paged("first", default=GRID_ROWS),
    )
    async def run_grid(
        self,
        info: Call,
        filter: RunFilterArgument = None,
        runs: Annotated[int, strawberry.argument(f"The number of runs, at most {repo.MAX_GRID_RUNS}.")] = 30,
        first: Annotated[
            int | None,
            strawberry.argument(
                "The number of rows, and of actions that are read of each run, at most "
                f"{repo.MAX_GRID_ROWS}; {GRID_ROWS} by default."
            ),
        ] = None,
    ) -> repo.RunGrid:
        check_page_size(info, first, None)
        rows = min(GRID_ROWS, info.context.max_page_size) if first is None else first
        criteria = filter.to_repo() if filter else None
        return await info.context.repository.summaries.get_grid(
            criteria, runs, rows, attributes=selected(info, "Run")
        )

    @strawberry.field(description="The caller and its roles.", graphql_type=Viewer)
    def viewer(self, info: Call) -> Caller:
        return info.context.caller

    @strawberry.field(description="The projects that have runs, by name.", metadata=SHORT_LIST)
    async def projects(self, info: Call) -> list[values.Project]:
        found = await info.context.repository.runs.list_projects()
        return [values.Project(name=name, domains=domains) for name, domains in found.items()]

"""GraphQL types of aggregates over runs: task summaries and histograms."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.limits.cost import SHORT_LIST, paged
from graph.schema.fields import described
from graph.schema.types import values
from graph.schema.types.connections import PageInfo, total_count
from graph.schema.types.records import Run
from graph.schema.types.scalars import BigInt


def _duration(statistic: str, attribute: str) -> Any:
    def resolve(root: strawberry.Parent[repo.TaskSummary], info: Call) -> Awaitable[int | None]:
        return info.context.loaders.durations_of_task.load_as(
            (root.key, (root.filter,)), attrgetter(attribute)
        )

    return strawberry.field(
        resolve,
        description=f"{statistic} duration of the succeeded runs, creation to end, in milliseconds (nearest "
        "rank). Null if none has succeeded.",
        graphql_type=BigInt | None,
    )


@strawberry.type(
    description="Runs aggregated by task; by function if they name no task; or all runs of a project and "
    "domain that name neither."
)
class TaskSummary:
    project: str = described("The project of the runs.")
    domain: str = described("The domain of the runs.")
    task_name: str | None = described("The task that their roots execute, in any version.")
    function_name: str | None = described(
        "The function that their roots execute; only where they name no task."
    )
    runs: int = described("The number of runs.")
    ended: int = described("How many of them have ended, including aborted and skipped ones.")
    failed: int = described("How many of them are FAILED or TIMED_OUT.")
    failure_rate: float | None = described(
        "`failed` divided by `ended`, from 0 to 1; null if none has ended."
    )
    phase_counts: list[values.PhaseCount] = described("The runs by phase.", metadata=SHORT_LIST)
    last_created_at: datetime = described("When the newest of them was created.")

    duration_p50_ms = _duration("Median", "p50_ms")
    duration_p95_ms = _duration("95th percentile of the", "p95_ms")

    @strawberry.field(
        description="The newest of these runs, newest first.", graphql_type=list[Run], metadata=paged("first")
    )
    def recent_runs(
        root: strawberry.Parent[repo.TaskSummary],
        info: Call,
        first: Annotated[int, strawberry.argument("The number of runs, at most 50.")] = 20,
    ) -> Awaitable[Sequence[repo.Run]]:
        return info.context.loaders.runs_of_task.load((root.key, (root.filter, first, selected(info, "Run"))))


@strawberry.type(description="A summary and its cursor.")
class TaskSummaryEdge:
    node: TaskSummary = described("The summary.")
    cursor: str = described("The cursor, for `after`.")


@strawberry.type(description="A page of summaries.")
class TaskSummaryConnection:
    edges: list[TaskSummaryEdge] = described("The summaries with their cursors.")
    nodes: list[TaskSummary] = described("The summaries.")
    page_info: PageInfo = described("Whether there are items before and after the page.")
    total_count: int = total_count()


@strawberry.type(description="The runs that began in an interval.")
class RunHistogramBucket:
    start_date: datetime = described("Start of the interval, inclusive.")
    end_date: datetime = described("End of the interval, exclusive.")
    phase_counts: list[values.PhaseCount] = described(
        "The number of runs that began in it, by their current phase; empty if there are none.",
        metadata=SHORT_LIST,
    )

"""Queries of what goes on: counts of runs by project or creator, and suggestions for a search."""

from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.limits.cost import SHORT_LIST, paged
from graph.schema.fields import described
from graph.schema.inputs.filters import RunFilterArgument
from graph.schema.types import values


@strawberry.type(description="The runs of a project or of a creator.")
class RunCount:
    project: str | None = described("The project; null if they are counted by creator.")
    created_by_subject: str | None = described(
        "The subject of the creator; null if they are counted by project, or have no creator."
    )
    created_by_name: str | None = described("A name of the creator, if a run has one.")
    runs: int = described("The number of runs.")
    phase_counts: list[values.PhaseCount] = described("The runs by phase.", metadata=SHORT_LIST)


@strawberry.type(description="A task that runs executed.")
class SuggestedTask:
    project: str = described("The project of the runs.")
    domain: str = described("The domain of the runs.")
    name: str = described("The name of the task.")


@strawberry.type(description="What a text may mean. Names that begin with it come first.")
class Suggestions:
    tasks: list[SuggestedTask] = described("Tasks whose name contains it.")
    people: list[values.Identity] = described(
        "Creators of runs whose name, subject or email address contains it."
    )


@strawberry.type
class OverviewQueries:
    @strawberry.field(
        description="The number of runs of each project or creator, the one with the most runs first. Reads "
        "all runs that match: give phases or a time.",
        graphql_type=list[RunCount],
        metadata=paged("first"),
    )
    async def run_counts(
        self,
        info: Call,
        by: Annotated[repo.RunGrouping, strawberry.argument("What to count by.")],
        filter: RunFilterArgument = None,
        first: Annotated[int, strawberry.argument("The number of groups, at most 1000.")] = 100,
    ) -> list[repo.RunCount]:
        criteria = filter.to_repo() if filter else None
        return await info.context.repository.overview.list_counts(by, criteria, first)

    @strawberry.field(
        description="Tasks and people to search for. Looks at 5,000 names at most, each as often as projects "
        "and domains have it.",
        graphql_type=Suggestions,
        metadata=paged("first", default=5),
    )
    async def suggestions(
        self,
        info: Call,
        search: Annotated[str, strawberry.argument("The text, in upper or lower case.")],
        first: Annotated[int, strawberry.argument("The number of each kind, at most 50.")] = 5,
    ) -> repo.Suggestions:
        return await info.context.repository.overview.suggest(search, first)

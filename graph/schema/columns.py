"""The columns of tables of actions: what a run's actions have values of."""

from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.limits.cost import Items
from graph.schema.fields import described
from graph.schema.inputs.filters import Filter, filter_of_actions
from graph.schema.inputs.records import RunIdentifierInput

_EXPECTED = 200
"""Columns that are expected of a run."""


@strawberry.type(description="A column that some actions of a run have values in.")
class ActionColumn:
    source: repo.ColumnSource = described("Where its values come from.")
    path: list[str] = described(
        "The keys of objects within each other, outermost first; the name of a metric."
    )
    actions: int = described("How many of the searched actions have a value in it.")
    numbers: int = described("How many of these values are numbers.")
    distinct: int = described("How many different values there are, by their first 100 characters.")
    unit: str | None = described("The unit of a metric, as reported.")


@strawberry.type(description="The columns of a run's actions.")
class ActionColumns:
    searched: int = described("How many actions were searched.")
    columns: list[ActionColumn] = described("By source, the most frequent first.")


@strawberry.type
class ColumnQueries:
    @strawberry.field(
        description="What the actions of a run have values of: keys with texts, numbers and booleans in "
        "specs and outputs, at most four levels deep, and metrics. Searches 500 of the matching actions, and "
        "finds at most 200 columns of each source; documents larger than 64 KiB are not read.",
        graphql_type=ActionColumns,
        metadata={"items": Items((), _EXPECTED)},
    )
    async def action_columns(
        self,
        info: Call,
        run: Annotated[RunIdentifierInput, strawberry.argument("The run.")],
        filter: Filter = None,
    ) -> repo.FoundColumns:
        return await info.context.repository.actions.list_columns(run.to_repo(), filter_of_actions(filter))

"""Which columns of actions to read, as GraphQL inputs."""

from typing import Annotated

import strawberry

import repo
from graph.schema.fields import described


@strawberry.input(description="A column of a table of actions.")
class ActionColumnInput:
    source: repo.ColumnSource = described("Where its values come from.")
    path: list[str] = described(
        "The keys of objects within each other, outermost first, at most four; for METRICS the name of the "
        "metric. Keys are without quotes, backslashes and control characters."
    )

    def to_repo(self) -> repo.ActionColumn:
        """The same column for the repository."""
        return repo.ActionColumn(self.source, tuple(self.path))


Columns = Annotated[list[ActionColumnInput], strawberry.argument(f"The columns, at most {repo.MAX_COLUMNS}.")]

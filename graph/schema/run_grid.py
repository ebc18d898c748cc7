"""GraphQL types of a grid of runs: runs side by side with their actions."""

from datetime import datetime

import strawberry

import repo
from graph.limits.cost import paged
from graph.schema.fields import described
from graph.schema.types import values
from graph.schema.types.records import Run

_OF_EACH_RUN = paged(default=repo.MAX_GRID_RUNS)


@strawberry.type(description="The actions of a row in one run: mostly one.")
class RunGridCell:
    run: int = described("The place of the run in `runs` of the grid, from 0.")
    name: str = described(
        "The name of the action that stands for all of them: one that failed, else one in progress, else one "
        "that did not succeed."
    )
    phase: repo.ActionPhase = described("The phase of that action.")
    actions: int = described("The number of actions.")
    failed: int = described("How many of them are FAILED or TIMED_OUT.")
    started_at: datetime | None = described("When the first of them started running.")
    ended_at: datetime | None = described("When the last of them ended; null until all have.")
    error: values.ActionError | None = described(
        f"The error of that action if it failed, with a message of at most about {repo.MAX_GRID_MESSAGE:,} "
        f"characters. Only for the first {repo.MAX_GRID_ERRORS} cells that failed, those of the newest run "
        "first."
    )


@strawberry.type(description="A step of the runs, in the order of the tree.")
class RunGridRow:
    kind: repo.GridRowKind = described("What its actions have in common.")
    name: str = described("The name of the action, group, task or function, or the pattern of the names.")
    depth: int = described("The number of rows above it in the tree; 0 for the root.")
    cells: list[RunGridCell] = described(
        "Its actions by run, the newest run first; none for a run without such an action.",
        metadata=_OF_EACH_RUN,
    )


@strawberry.type(
    description="The newest runs side by side with their actions. Actions of the same name are one row. "
    "Names that only one of the runs has may be generated: these are one row if they have the same parent "
    "and group, or else the same task, function, or name without numbers."
)
class RunGrid:
    runs: list[Run] = described("The runs, the newest first.", metadata=_OF_EACH_RUN)
    rows: list[RunGridRow] = described("The steps, parents before what is below them; at most `first`.")
    is_complete: bool = described(
        "Whether the rows have all actions of the runs: only the `first` actions of each run are read, "
        "parents before their children."
    )

"""The fields of Subscription."""

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

import repo
from graph.context import Call
from graph.execution import CURSOR, PURE, selected, selected_metadata
from graph.limits.cost import frames
from graph.schema.fields import described
from graph.schema.inputs.filters import Filter, RunFilter, filter_of_actions
from graph.schema.inputs.records import ActionId, RunId, RunIdentifierInput
from graph.schema.logs import Attempt, Levels, Search, log_query
from graph.schema.types import values
from graph.schema.types.connections import check_page_size
from graph.schema.types.logs import LogGap, LogLine, byte_count, first_error, line_count
from graph.schema.types.node_ids import id_of
from graph.schema.types.records import CHANGES_WITH, Action, ActionEvent, Run
from graph.schema.types.scalars import BigInt

UntilTerminal = Annotated[
    bool, strawberry.argument("Complete the stream after its terminal phase has been sent.")
]
After = Annotated[str | None, strawberry.argument("The cursor of the last received frame: resume after it.")]
_RESUMABLE = {CURSOR: "after"}


def related_by(info: Call) -> repo.Related:
    """The changes of other rows that may affect what is selected of a row."""
    kinds = selected_metadata(info, CHANGES_WITH)
    return repo.Related("descendants" in kinds, "events" in kinds)


@strawberry.field(
    description="Ids of items that no longer match the filter.",
    graphql_type=list[strawberry.ID],
    metadata=PURE,
)
def _removed(root: strawberry.Parent[repo.Frame[Any]]) -> list[strawberry.ID]:
    return [id_of(item) for item in root.removed]


def _items(description: str, graphql_type: Any) -> Any:
    def resolve(root: strawberry.Parent[repo.Frame[Any]]) -> Sequence[Any]:
        return root.items

    return strawberry.field(
        resolver=resolve, description=description, graphql_type=graphql_type, metadata=PURE
    )


_KIND = (
    "The kind of the frame: a page of the snapshot, the end of the snapshot, changes, or a restart of the "
    "stream."
)
_CURSOR = "Pass it as `after` to resume the stream after this frame, on any replica."


@strawberry.type(description="A frame of a stream of runs.")
class RunsFrame:
    kind: repo.FrameKind = described(_KIND)
    runs: list[Run] = _items("The runs as they are now.", list[Run])
    removed = _removed
    cursor: str = described(_CURSOR)


@strawberry.type(description="A frame of a stream of actions.")
class ActionsFrame:
    kind: repo.FrameKind = described(_KIND)
    actions: list[Action] = _items("The actions as they are now.", list[Action])
    removed = _removed
    cursor: str = described(_CURSOR)


@strawberry.type(description="A frame of a stream of events.")
class EventsFrame:
    kind: repo.FrameKind = described(_KIND)
    events: list[ActionEvent] = _items("The events, each once in a stream.", list[ActionEvent])
    cursor: str = described(_CURSOR)


@strawberry.type(description="A frame of a stream of states.")
class StatesFrame:
    kind: repo.FrameKind = described(_KIND)
    actions: list[values.ActionIdentifier] = _items(
        "The actions whose state was set or notified.", list[values.ActionIdentifier]
    )
    cursor: str = described(_CURSOR)


@strawberry.type(description="A frame of the stream of a log.")
class LogFrame:
    kind: repo.FrameKind = described(_KIND)
    lines: list[LogLine] = described("The lines, each once in a stream, in order.")
    omitted: list[LogGap] = described("Missing lines between these, and since the frame before.")
    end: BigInt = described("Pass it as `after` to resume the stream after this frame, on any replica.")
    line_count = line_count
    byte_count = byte_count
    first_error = first_error


@strawberry.type(
    description="Subscriptions. Each field except `actionStates` sends the current state, then every change."
)
class Subscription:
    @strawberry.subscription(
        description="A run: as it is now, then each newer version of it.", graphql_type=Run
    )
    def run(self, info: Call, id: RunId, until_terminal: UntilTerminal = False) -> repo.Stream[repo.Run]:
        updates = info.context.watches.watch_run_updates(id.to_repo(), until_terminal, related_by(info))
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The `first` newest runs that match, then every run that is created, changes, or leaves "
        "the filter.",
        graphql_type=RunsFrame,
        metadata=frames("first") | _RESUMABLE,
    )
    def runs(
        self,
        info: Call,
        filter: Annotated[RunFilter | None, strawberry.argument("Only runs that match.")] = None,
        first: Annotated[int, strawberry.argument("The number of runs in the snapshot, at most 1000.")] = 100,
        after: After = None,
    ) -> repo.Stream[repo.Frame[repo.Run]]:
        criteria = filter.to_repo() if filter else None
        updates = info.context.watches.watch_all_run_updates(
            criteria, first, info.context.resume_after or after, related_by(info), selected(info, "Run")
        )
        return info.context.follow(updates)

    @strawberry.subscription(
        description="An action: as it is now, then each newer version of it. A new event of the action "
        "counts as a change of it.",
        graphql_type=Action,
    )
    def action(
        self, info: Call, id: ActionId, until_terminal: UntilTerminal = False
    ) -> repo.Stream[repo.Action]:
        updates = info.context.watches.watch_action_updates(id.to_repo(), until_terminal, related_by(info))
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The actions of a run, parents before their children, then every action that is created, "
        "changes, or leaves the filter.",
        graphql_type=ActionsFrame,
        metadata=frames() | _RESUMABLE,
    )
    def actions(
        self,
        info: Call,
        run: RunId,
        filter: Filter = None,
        after: After = None,
        until_terminal: UntilTerminal = False,
    ) -> repo.Stream[repo.Frame[repo.Action]]:
        updates = info.context.watches.watch_all_action_updates(
            run.to_repo(),
            filter_of_actions(filter),
            info.context.resume_after or after,
            until_terminal,
            related_by(info),
            selected(info, "Action"),
        )
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The events of a run, of one of its actions, or of one attempt; none is skipped. Those "
        "that exist come action by action, by attempt, phase and version; then each that is inserted.",
        graphql_type=EventsFrame,
        metadata=frames() | _RESUMABLE,
    )
    def events(
        self,
        info: Call,
        run: RunId,
        action_name: Annotated[str | None, strawberry.argument("Only events of this action.")] = None,
        attempt: Annotated[int | None, strawberry.argument("Only events of this attempt.")] = None,
        after: After = None,
    ) -> repo.Stream[repo.Frame[repo.ActionEvent]]:
        updates = info.context.watches.watch_events(
            run.to_repo(), action_name, attempt, info.context.resume_after or after
        )
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The lines of the log of an attempt: those after a number, or else the `last` ones, or "
        "all; then every new one, each once and in order. A frame has at most 500 lines.",
        graphql_type=LogFrame,
        metadata=frames() | _RESUMABLE,
    )
    def log_lines(
        self,
        info: Call,
        action: ActionId,
        attempt: Attempt,
        after: Annotated[
            BigInt | None, strawberry.argument("Only lines after this number, the `end` of a frame or page.")
        ] = None,
        last: Annotated[
            int | None, strawberry.argument("How many lines to begin with, without `after`; at most 1000.")
        ] = None,
        search: Search = None,
        stream: Annotated[str | None, strawberry.argument("Only lines of this stream.")] = None,
        levels: Levels = None,
    ) -> repo.Stream[repo.LogFrame]:
        check_page_size(info, None, last)
        start = info.context.resume_after or after
        updates = info.context.watches.watch_log(
            action.to_repo(),
            attempt,
            log_query(stream, levels, search),
            None if start is None else int(start),
            last,
        )
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The names of actions whose state was set or notified. Begins with SYNCED unless `after` "
        "is given.",
        graphql_type=StatesFrame,
        metadata=frames() | _RESUMABLE,
    )
    def action_states(
        self,
        info: Call,
        run: Annotated[RunIdentifierInput | None, strawberry.argument("Only actions of this run.")] = None,
        after: After = None,
    ) -> repo.Stream[repo.Frame[repo.ActionIdentifier]]:
        run_id = run.to_repo() if run else None
        updates = info.context.watches.watch_state_updates(run_id, info.context.resume_after or after)
        return info.context.follow(updates)

    @strawberry.subscription(
        description="For executors: actions with a pending abort, oldest request first, then each new "
        "request and each further attempt (`attemptCount` increases). Confirm with `clearAbortRequest`, even "
        "if the work no longer exists. `removed` has the actions whose abort is no longer pending.",
        graphql_type=ActionsFrame,
        metadata=frames() | _RESUMABLE,
    )
    def abort_requests(
        self,
        info: Call,
        project: Annotated[str | None, strawberry.argument("Only of runs in this project.")] = None,
        domain: Annotated[str | None, strawberry.argument("Only of runs in this domain.")] = None,
        after: After = None,
    ) -> repo.Stream[repo.Frame[repo.Action]]:
        updates = info.context.watches.watch_abort_requests(
            project, domain, info.context.resume_after or after, related_by(info), selected(info, "Action")
        )
        return info.context.follow(updates)

    @strawberry.subscription(
        description="The progress of the aborts requested by one `abortRuns`, until none is pending.",
        graphql_type=values.AbortProgress,
    )
    def abort_progress(
        self,
        info: Call,
        batch: Annotated[strawberry.ID, strawberry.argument("The batch that `abortRuns` returned.")],
    ) -> repo.Stream[repo.AbortProgress]:
        return info.context.follow(info.context.watches.watch_abort_progress(batch))

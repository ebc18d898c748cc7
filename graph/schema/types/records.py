"""The GraphQL types Run, Action and ActionEvent, and their connections.

Plain fields are attributes of the repository's objects. Fields that need more use the loaders of the request.
"""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any

import strawberry

import repo
from graph.context import Call
from graph.execution import PURE, from_columns, selected
from graph.limits.cost import SHORT_LIST, SHORT_LIST_ITEMS, batch, paged
from graph.link_templates import Link
from graph.schema.artifacts import Artifact
from graph.schema.fields import described
from graph.schema.inputs.checks import optional_time
from graph.schema.inputs.columns import Columns
from graph.schema.inputs.filters import Filter, filter_of_actions
from graph.schema.inputs.records import OrderBy, order_of
from graph.schema.notes import Note, load_notes
from graph.schema.types import values
from graph.schema.types.connections import (
    After,
    Before,
    Connection,
    First,
    Last,
    PageInfo,
    check_page_size,
    page_request,
    total_count,
    total_count_at_most,
)
from graph.schema.types.node_ids import id_of, id_of_action, id_of_run
from graph.schema.types.scalars import JSON, BigInt

AfterAttempt = Annotated[int | None, strawberry.argument("Only attempts with a higher number.")]
BeforeAttempt = Annotated[int | None, strawberry.argument("Only attempts with a lower number.")]

CHANGES_WITH = "changes_with"
"""The metadata of a field whose value may change when its parent's row does not: with its `descendants`, or
its `events`."""
_LABELS = frozenset({"labels"})
_WITH_DESCENDANTS = {CHANGES_WITH: "descendants"}
_WITH_EVENTS = {CHANGES_WITH: "events"}

_ID = from_columns({repo.Run: id_of_run, repo.Action: id_of_action})


@strawberry.interface(description="An object that `node` finds by its id.")
class Node:
    @strawberry.field(description="An opaque id, unique over all types.", metadata=PURE | _ID)
    def id(root: strawberry.Parent[repo.Run | repo.Action | repo.ActionEvent]) -> strawberry.ID:
        return id_of(root)


@strawberry.type(
    description="A run of a workflow: its root action (the one without a parent) and all its descendants."
)
class Run(Node):
    project: str = described("The project that it belongs to.")
    domain: str = described("The domain within the project, such as production.")
    name: str = described("Its name, unique within project and domain.")
    phase: repo.ActionPhase = described("The phase of its root action.")
    source: repo.RunSource | None = described("Who or what started it.")
    labels: list[values.Label] = described("Its labels, ordered by key.", metadata=SHORT_LIST)
    task: values.TaskIdentifier | None = described("The task that its root executes.")
    task_type: str | None = described("The type of that task.")
    function_name: str | None = described("The function in the task's code.")
    environment_name: str | None = described("The environment that it runs in.")
    trigger: values.TriggerIdentifier | None = described("The trigger that started it.")
    created_by: values.Identity | None = described("Who created it.")
    abort: values.Abort | None = described("Its abort request, if there is one.")
    error: values.ActionError | None = described(
        "The error that ended its latest attempt, if it did not succeed; the reason if it was skipped."
    )
    attempts: int = described("The number of its root's latest attempt; 0 if none was reported.")
    cache_status: repo.CacheStatus = described("The result of the cache for its root action.")
    created_at: datetime = described(
        "When it was created. Changes only when an earlier creation or start is reported."
    )
    triggered_at: datetime | None = described("When its trigger fired.")
    started_at: datetime | None = described("When its latest attempt started running.")
    ended_at: datetime | None = described("When it ended, never before its start; null until then.")
    updated_at: datetime = described("When it last changed.")
    duration_ms: BigInt | None = described(
        "Its duration from createdAt to endedAt, waiting included, in milliseconds; null until it has ended."
    )
    revision: BigInt = described(
        "Increases with every change of this row; of two versions, the higher revision is newer."
    )
    executor: str | None = described("The executor that renewed its lease last; null without one.")
    note_count: int = described("How many notes it has.")
    last_note: Note | None = described("The note that was written last.")

    @strawberry.field(
        description="Its cursor in lists of runs in the default order, the newest first: with `after` they "
        "have the runs before it, with `last` and `before` those that were created after it.",
        metadata=PURE | from_columns({repo.Run: repo.cursor_of_run}),
    )
    def cursor(root: strawberry.Parent[repo.Run]) -> str:
        return repo.cursor_of_run(root.created_at, root.key)

    @classmethod
    def is_type_of(cls, value: object, info: object) -> bool:
        return isinstance(value, repo.Run)

    @strawberry.field(
        description="When the lease of its executor ends, or ended; null if none was ever renewed. Renewals "
        "are no changes for subscribers: query it.",
        graphql_type=datetime | None,
    )
    def lease_expires_at(root: strawberry.Parent[repo.Run], info: Call) -> Awaitable[datetime | None]:
        return info.context.loaders.activity.load_as(
            (root.run_key, ()), lambda found: found and found.lease_expires_at
        )

    @strawberry.field(
        description="When anything of it was last reported: a creation, an event, a phase, a state, a log, "
        "an artifact or a lease; exact to about 10 s. A report is a change for subscribers only if it ends a "
        "silence of more than a minute: query it.",
        graphql_type=datetime | None,
    )
    def last_reported_at(root: strawberry.Parent[repo.Run], info: Call) -> Awaitable[datetime | None]:
        return info.context.loaders.activity.load_as(
            (root.run_key, ()), lambda found: found and found.last_reported_at
        )

    @strawberry.field(
        description="How long recent runs of the same task took, or of the same function if it names no "
        "task, in its project and domain. Null if it names neither, or if none of the newest 200 "
        "succeeded. Other runs change it: query it.",
        graphql_type=values.TypicalDuration | None,
    )
    def typical_duration(
        root: strawberry.Parent[repo.Run], info: Call
    ) -> Awaitable[repo.TypicalDuration | None] | None:
        task = repo.task_of(root.project, root.domain, root.task_name, root.function_name)
        return None if task is None else info.context.loaders.typical_duration.load((task, ()))

    @strawberry.field(
        description="The action without a parent.",
        graphql_type=Annotated["Action", strawberry.lazy("graph.schema.types.records")],
        metadata=_WITH_DESCENDANTS,
    )
    def root_action(root: strawberry.Parent[repo.Run], info: Call) -> Awaitable[repo.Action | None]:
        return info.context.loaders.action.load((root.key, (selected(info, "Action"),)))

    @strawberry.field(
        description="Its actions, the root included; by default parents before their children, then "
        "oldest first.",
        graphql_type=Annotated["ActionConnection", strawberry.lazy("graph.schema.types.records")],
        metadata=paged("first", "last") | _WITH_DESCENDANTS,
    )
    def actions(
        root: strawberry.Parent[repo.Run],
        info: Call,
        filter: Filter = None,
        order_by: OrderBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Awaitable[Connection[repo.Action]]:
        criteria, order = filter_of_actions(filter), order_of(order_by)
        loaders, key = info.context.loaders, root.run_key
        request = page_request(info, first, after, last, before)
        return loaders.run_actions.load_as(
            (key, (criteria, order, request, selected(info, "Action"))),
            lambda page: Connection(page, lambda: loaders.run_action_count.load((key, (criteria,)))),
        )

    @strawberry.field(
        description="The number of its actions by phase, the root included.",
        graphql_type=list[values.PhaseCount],
        metadata=SHORT_LIST | _WITH_DESCENDANTS,
    )
    def phase_counts(root: strawberry.Parent[repo.Run], info: Call) -> Awaitable[list[repo.PhaseCount]]:
        return info.context.loaders.run_phases.load((root.run_key, ()))

    @strawberry.field(
        description="Its links to other systems, by the templates of the server (`RUNGRAPH_LINKS`). A link "
        "that names what the run does not have is left out.",
        graphql_type=list[values.Link],
        metadata=SHORT_LIST,
    )
    def links(root: strawberry.Parent[repo.Run], info: Call) -> list[Link]:
        named = {
            "project": root.project,
            "domain": root.domain,
            "run": root.name,
            "action": root.root_name,
            "task": root.task_name,
            "version": root.task_version,
            "function": root.function_name,
            "environment": root.environment_name,
            "attempt": root.attempts,
            "createdAt": root.created_at,
            "startedAt": root.started_at,
            "endedAt": root.ended_at,
            "labels": root.labels_document,
        }
        return info.context.link_templates.links("run", named)

    @strawberry.field(
        description="Its notes, which are those of its root action, oldest first; all of them, or the last "
        "ones.",
        graphql_type=list[Note],
        metadata=paged("last", default=repo.MAX_NOTES),
    )
    def notes(root: strawberry.Parent[repo.Run], info: Call, last: Last = None) -> Awaitable[list[repo.Note]]:
        check_page_size(info, None, last)
        return load_notes(
            info, repo.ActionIdentifier(root.project, root.domain, root.name, root.root_name), last
        )


@strawberry.type(description="A step of a run. Actions form a tree under the run's root.")
class Action(Node):
    project: str = described("The project of its run.")
    domain: str = described("The domain of its run.")
    run_name: str = described("The name of its run.")
    name: str = described("Its name, unique within the run.")
    parent_name: str | None = described("The name of its parent; null for the root.")
    type: repo.ActionType = described("What kind of step it is.")
    group: str | None = described("The group under which it is shown among its siblings.")
    phase: repo.ActionPhase = described("Its current phase.")
    is_lost: bool = described(
        "Whether it is FAILED because its executor did not renew its lease (EXECUTOR_LOST). It returns to "
        "the phase before when the executor renews the lease or reports about the same attempt."
    )
    attempts: int = described("The number of its latest attempt; 0 if none was reported.")
    cache_status: repo.CacheStatus = described("The result of the cache.")
    task: values.TaskIdentifier | None = described("The task that it executes.")
    task_type: str | None = described("The type of that task.")
    function_name: str | None = described("The function in the task's code.")
    environment_name: str | None = described("The environment that it runs in.")
    spec: JSON | None = described("The specification for the executor, as it was given.")
    state: str | None = described("Text that the executor stores with this action.")
    dependencies: list[str] = described(
        "Names of the actions of its run that must end before it can start, as reported by the "
        "executor; they need not exist."
    )
    is_placeholder: bool = described(
        "Whether it is only known by name: a report named it, as a parent or for its phase, but none has "
        "described it yet. Its parent is the root until then."
    )
    progress: values.Progress | None = described("How much of it is done, as last reported.")
    abort: values.Abort | None = described("Its abort request, if there is one.")
    error: values.ActionError | None = described(
        "The error that ended its latest attempt, if it did not succeed; the reason if it was skipped."
    )
    created_by: values.Identity | None = described("Who created it.")
    created_at: datetime = described(
        "When it was created. Changes only when an earlier creation or start is reported."
    )
    started_at: datetime | None = described("When its latest attempt started running.")
    ended_at: datetime | None = described("When it ended, never before its start; null until then.")
    updated_at: datetime = described("When it last changed.")
    duration_ms: BigInt | None = described(
        "Its duration from createdAt to endedAt, waiting included, in milliseconds; null until it has ended."
    )
    revision: BigInt = described(
        "Increases with every change of this row; of two versions, the higher revision is newer."
    )
    note_count: int = described("How many notes it has.")
    last_note: Note | None = described("The note that was written last.")

    @classmethod
    def is_type_of(cls, value: object, info: object) -> bool:
        return isinstance(value, repo.Action)

    @strawberry.field(description="The run that it belongs to.", graphql_type=Run, metadata=_WITH_DESCENDANTS)
    def run(root: strawberry.Parent[repo.Action], info: Call) -> Awaitable[repo.Run | None]:
        return info.context.loaders.run.load((root.run_key, (selected(info, "Run"),)))

    @strawberry.field(
        description="The action that it belongs to; null for the root.",
        graphql_type=Annotated["Action", strawberry.lazy("graph.schema.types.records")] | None,
        metadata=_WITH_DESCENDANTS,
    )
    def parent(root: strawberry.Parent[repo.Action], info: Call) -> Awaitable[repo.Action | None] | None:
        if root.parent_name is None:
            return None
        parent = repo.ActionIdentifier(root.project, root.domain, root.run_name, root.parent_name)
        return info.context.loaders.action.load((parent.key, (selected(info, "Action"),)))

    @strawberry.field(
        description="The actions directly under it; oldest first by default.",
        graphql_type=Annotated["ActionConnection", strawberry.lazy("graph.schema.types.records")],
        metadata=paged("first", "last") | _WITH_DESCENDANTS,
    )
    def children(
        root: strawberry.Parent[repo.Action],
        info: Call,
        filter: Filter = None,
        order_by: OrderBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Awaitable[Connection[repo.Action]]:
        criteria, order = filter_of_actions(filter), order_of(order_by)
        loaders, key = info.context.loaders, root.key
        request = page_request(info, first, after, last, before)
        return loaders.children.load_as(
            (key, (criteria, order, request, selected(info, "Action"))),
            lambda page: Connection(page, lambda: loaders.child_count.load((key, (criteria,)))),
        )

    @strawberry.field(
        description="The number of its descendants by phase, itself excluded.",
        graphql_type=list[values.PhaseCount],
        metadata=SHORT_LIST | _WITH_DESCENDANTS,
    )
    def phase_counts(root: strawberry.Parent[repo.Action], info: Call) -> Awaitable[list[repo.PhaseCount]]:
        return info.context.loaders.descendant_phases.load((root.key, ()))

    @strawberry.field(
        description=f"The numbers that were reported about it, by name; at most {repo.MAX_METRICS}.",
        graphql_type=list[values.Metric],
        metadata=SHORT_LIST,
    )
    def metrics(root: strawberry.Parent[repo.Action], info: Call) -> Awaitable[list[repo.Metric]]:
        return info.context.loaders.metrics.load((root.key, (selected(info, "Metric"),)))

    @strawberry.field(
        description="Its values in these columns, in their order: numbers, texts of which 500 characters are "
        "read, and booleans; null for objects, lists and what it does not have. Of outputs, those of the "
        "latest attempt that were reported last. Documents larger than 64 KiB are not read.",
        graphql_type=list[JSON | None],
        metadata=batch("columns") | _WITH_EVENTS,
    )
    def column_values(
        root: strawberry.Parent[repo.Action], info: Call, columns: Columns
    ) -> Awaitable[list[Any]]:
        named = tuple(each.to_repo() for each in columns)
        return info.context.loaders.column_values.load((root.key, (named,)))

    @strawberry.field(
        description="The events reported about it, oldest first; `last` and `before` page from the newest.",
        graphql_type=Annotated["ActionEventConnection", strawberry.lazy("graph.schema.types.records")],
        metadata=paged("first", "last") | _WITH_EVENTS,
    )
    def events(
        root: strawberry.Parent[repo.Action],
        info: Call,
        attempt: Annotated[int | None, strawberry.argument("Only of this attempt.")] = None,
        since: Annotated[
            datetime | None, strawberry.argument("Only events that occurred after this time, exclusive.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Awaitable[Connection[repo.ActionEvent]]:
        listing = attempt, optional_time(since), page_request(info, first, after, last, before)
        return info.context.loaders.events.load_as((root.identifier, listing), Connection)

    @strawberry.field(
        description="The event of an attempt with the highest phase, and among those the highest version; "
        "null if the attempt has no events. After a resume it is still the PAUSED one; "
        "attemptHistory has the current phase.",
        graphql_type=Annotated["ActionEvent", strawberry.lazy("graph.schema.types.records")] | None,
        metadata=_WITH_EVENTS,
    )
    def latest_event(
        root: strawberry.Parent[repo.Action],
        info: Call,
        attempt: Annotated[int, strawberry.argument("The number of the attempt.")],
    ) -> Awaitable[repo.ActionEvent | None]:
        return info.context.loaders.latest_event.load(((root.identifier, attempt), ()))

    @strawberry.field(
        description="Its events merged by attempt, oldest first; the newest 100 attempts unless `first` or "
        "`last` is given, at most 1000. The cursor of an attempt is its number.",
        graphql_type=list[values.ActionAttempt],
        metadata=paged("first", "last", default=SHORT_LIST_ITEMS) | _WITH_EVENTS,
    )
    def attempt_history(
        root: strawberry.Parent[repo.Action],
        info: Call,
        first: First = None,
        after: AfterAttempt = None,
        last: Last = None,
        before: BeforeAttempt = None,
    ) -> Awaitable[list[repo.ActionAttempt]]:
        check_page_size(info, first, last)
        criteria = repo.AttemptRange(first, after, last, before)
        attributes = selected(info, "ActionAttempt")
        return info.context.loaders.attempts.load((root.identifier, (criteria, attributes)))

    @strawberry.field(
        description="Its artifacts, by attempt, kind and name; the last 100 unless `last` is given, at most "
        "1000.",
        graphql_type=list[Artifact],
        metadata=paged("last", default=SHORT_LIST_ITEMS),
    )
    def artifacts(
        root: strawberry.Parent[repo.Action],
        info: Call,
        attempt: Annotated[int | None, strawberry.argument("Only of this attempt.")] = None,
        kinds: Annotated[list[repo.ArtifactKind] | None, strawberry.argument("Only of these kinds.")] = None,
        last: Last = None,
    ) -> Awaitable[list[repo.Artifact]]:
        check_page_size(info, None, last)
        criteria = attempt, None if kinds is None else tuple(kinds), 100 if last is None else last
        return info.context.loaders.artifacts.load((root.identifier, criteria))

    @strawberry.field(
        description="Its links to other systems, by the templates of the server (`RUNGRAPH_LINKS`). A link "
        "that names what the action does not have is left out.",
        graphql_type=list[values.Link],
        metadata=SHORT_LIST,
    )
    async def links(root: strawberry.Parent[repo.Action], info: Call) -> list[Link]:
        templates, labels = info.context.link_templates, None
        if templates.read_labels_of_actions:
            run = await info.context.loaders.run.load((root.run_key, (_LABELS,)))
            labels = None if run is None else run.labels_document
        named = {
            "project": root.project,
            "domain": root.domain,
            "run": root.run_name,
            "action": root.name,
            "task": root.task_name,
            "version": root.task_version,
            "function": root.function_name,
            "environment": root.environment_name,
            "attempt": root.attempts,
            "createdAt": root.created_at,
            "startedAt": root.started_at,
            "endedAt": root.ended_at,
            "labels": labels,
        }
        return templates.links("action", named)

    @strawberry.field(
        description="Its notes, oldest first; all of them, or the last ones.",
        graphql_type=list[Note],
        metadata=paged("last", default=repo.MAX_NOTES),
    )
    def notes(
        root: strawberry.Parent[repo.Action], info: Call, last: Last = None
    ) -> Awaitable[list[repo.Note]]:
        check_page_size(info, None, last)
        return load_notes(info, root.identifier, last)


@strawberry.type(description="A report of an executor about an attempt of an action.")
class ActionEvent(Node):
    attempt: int = described("The number of the attempt.")
    phase: repo.ActionPhase = described("The phase that the attempt is in.")
    version: int = described("Distinguishes reports of the same phase.")
    occurred_at: datetime = described(
        "When it happened, according to the platform; `reportedAt` is when the executor observed it."
    )
    reported_at: datetime | None = described("When the executor observed it.")
    error: values.ActionError | None = described("The error.")
    logs: list[values.LogLink] = described("Links to logs.", metadata=SHORT_LIST)
    outputs: JSON | None = described("The outputs of the attempt.")
    cluster: str | None = described("The cluster that executes it.")
    cache_status: repo.CacheStatus | None = described("The result of the cache.")
    cluster_events: list[values.ClusterEvent] = described("Messages from the cluster.", metadata=SHORT_LIST)
    info: JSON | None = described("Additional data from the executor.")
    created_at: datetime = described("When it was stored.")
    updated_at: datetime = described("When it was last updated.")

    @classmethod
    def is_type_of(cls, value: object, info: object) -> bool:
        return isinstance(value, repo.ActionEvent)

    @strawberry.field(description="The action that it is about.", graphql_type=Action)
    def action(root: strawberry.Parent[repo.ActionEvent], info: Call) -> Awaitable[repo.Action | None]:
        return info.context.loaders.action.load((root.action.key, (selected(info, "Action"),)))


@strawberry.type(description="A run and its cursor.")
class RunEdge:
    node: Run = described("The run.")
    cursor: str = described("The cursor, for `after` and `before`.")


@strawberry.type(description="A page of runs.")
class RunConnection:
    edges: list[RunEdge] = described("The runs with their cursors.")
    nodes: list[Run] = described("The runs.")
    page_info: PageInfo = described("Whether there are items before and after the page.")
    total_count: int = total_count_at_most()


@strawberry.type(description="An action and its cursor.")
class ActionEdge:
    node: Action = described("The action.")
    cursor: str = described("The cursor, for `after` and `before`.")


@strawberry.type(description="A page of actions.")
class ActionConnection:
    edges: list[ActionEdge] = described("The actions with their cursors.")
    nodes: list[Action] = described("The actions.")
    page_info: PageInfo = described("Whether there are items before and after the page.")
    total_count: int = total_count()


@strawberry.type(description="An event and its cursor.")
class ActionEventEdge:
    node: ActionEvent = described("The event.")
    cursor: str = described("The cursor, for `after` and `before`.")


@strawberry.type(description="A page of events.")
class ActionEventConnection:
    edges: list[ActionEventEdge] = described("The events with their cursors.")
    nodes: list[ActionEvent] = described("The events.")
    page_info: PageInfo = described("Whether there are items before and after the page.")

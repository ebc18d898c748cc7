"""GraphQL inputs and their conversion to the repository's types."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry

import repo
from graph.auth.caller import Caller
from graph.limits.texts import TEXT
from graph.schema.fields import described, optional
from graph.schema.inputs.checks import address, message, moment, optional_moment, optional_short, short
from graph.schema.inputs.filters import RunFilter
from graph.schema.inputs.identifiers import RunIdentifierInput as RunIdentifierInput
from graph.schema.types.enums import SortDirection
from graph.schema.types.scalars import JSON, BigInt


@strawberry.input(description="Identifies an action.")
class ActionIdentifierInput:
    project: str = described("The project that the run belongs to.")
    domain: str = described("The domain within the project, such as production.")
    run_name: str = described("The name of the run, 1 to 255 printable characters.")
    name: str = described("The name of the action, 1 to 255 printable characters.")

    def to_repo(self) -> repo.ActionIdentifier:
        """The identifier. Raises InvalidArgument."""
        return repo.ActionIdentifier(self.project, self.domain, self.run_name, self.name)


RunId = Annotated[RunIdentifierInput, strawberry.argument("The name of the run.")]
ActionId = Annotated[ActionIdentifierInput, strawberry.argument("The name of the action.")]


@strawberry.input(description="A sort order. Rows with equal values have a fixed order.")
class ActionOrder:
    field: repo.OrderField = described("The field to sort by.")
    direction: SortDirection = described("The sort direction.", default=SortDirection.DESC)


OrderBy = Annotated[ActionOrder | None, strawberry.argument("The sort order.")]


def order_of(order: ActionOrder | None) -> repo.Order | None:
    """The same order for the repository."""
    if order is None:
        return None
    return repo.Order(order.field, order.direction is SortDirection.DESC)


@strawberry.input(description="A person or a program.")
class IdentityInput:
    kind: repo.IdentityKind = described(
        "Whether it is a person or a program.", default=repo.IdentityKind.USER
    )
    subject: str = described("Its unique subject, as in its token.")
    name: str | None = optional("Its display name.")
    email: str | None = optional("Its email address.")

    def to_repo(self) -> repo.Identity:
        """The same identity for the repository."""
        return repo.Identity(
            self.kind,
            short(self.subject, "subject"),
            optional_short(self.name, "name"),
            optional_short(self.email, "email"),
        )


@strawberry.input(description="A label of a run.")
class LabelInput:
    key: str = described("The key, once per run; 1 to 255 printable characters.")
    value: str = described("The value, at most 4096 characters.")


@strawberry.input(description="The version of a task.")
class TaskIdentifierInput:
    project: str = described("The project that the task is registered in.")
    domain: str = described("The domain that the task is registered in.")
    name: str = described("The name of the task.")
    version: str = described("The version of the task.")

    def to_repo(self) -> repo.TaskIdentifier:
        """The same task for the repository. Raises InvalidArgument."""
        project, domain = short(self.project, "task.project"), short(self.domain, "task.domain")
        name, version = short(self.name, "task.name"), short(self.version, "task.version")
        return repo.TaskIdentifier(project, domain, name, version)


@strawberry.input(description="The trigger that started a run.")
class TriggerIdentifierInput:
    task_name: str = described("The task that the trigger starts.")
    name: str = described("The name of the trigger.")
    revision: BigInt | None = optional("The revision of the trigger.")

    def to_repo(self) -> repo.TriggerIdentifier:
        """The same trigger for the repository."""
        task_name, name = short(self.task_name, "trigger.taskName"), short(self.name, "trigger.name")
        return repo.TriggerIdentifier(task_name, name, self.revision)


@strawberry.input(description="Why an attempt did not succeed.")
class ActionErrorInput:
    kind: repo.ErrorKind = described("The origin of the error.", default=repo.ErrorKind.UNKNOWN)
    message: str = described(
        "A message for people. Of one of more than 262144 characters the middle is left out.", metadata=TEXT
    )
    code: str | None = optional("A code for programs.")

    def to_repo(self) -> repo.ActionError:
        """The same error for the repository. Raises InvalidArgument."""
        code = optional_short(self.code, "error.code")
        return repo.ActionError(self.kind, message(self.message), code)


@strawberry.input(description="A link to a log.")
class LogLinkInput:
    name: str = described("The display name of the log.")
    uri: str = described("The URL of the log.")


@strawberry.input(description="A message from the cluster.")
class ClusterEventInput:
    occurred_at: datetime = described("When it happened.")
    message: str = described("The text of the message.", metadata=TEXT)
    reason: str | None = optional("The cluster's reason code.")
    warning: bool = described("Whether it is a warning.", default=False)


@strawberry.input(description="What describes an action; the first description of an action counts.")
class ActionDetailsInput:
    parent_name: str | None = optional(
        "Its parent, which need not be reported before. Null: it is the root action, which is the run "
        "itself. A run has one root."
    )
    type: repo.ActionType = described("What kind of step it is.", default=repo.ActionType.TASK)
    group: str | None = optional("The group under which it is shown.")
    source: repo.RunSource | None = optional("Who or what started the run. Set it on the root action.")
    labels: list[LabelInput] | None = optional("The labels of the run. Set them on the root action.")
    task: TaskIdentifierInput | None = optional("The task that it executes.")
    task_type: str | None = optional("The type of that task.")
    function_name: str | None = optional("The function in its code.")
    environment_name: str | None = optional("The environment that it runs in.")
    trigger: TriggerIdentifierInput | None = optional(
        "The trigger that started the run. Set it on the root action."
    )
    spec: JSON | None = optional("The specification for the executor.", metadata=TEXT)
    dependencies: list[str] | None = optional(
        "Names of the actions of its run that must end before it can start, at most 1000; they "
        "need not exist."
    )
    created_by: IdentityInput | None = optional(
        "Who created it; by default the caller. Ignored unless the caller may act for others "
        "(`viewer.actsForOthers`)."
    )
    created_at: datetime | None = optional(
        "When it was created; by default now. If the action exists, an earlier time than the "
        "stored one replaces it."
    )

    triggered_at: datetime | None = optional("When its trigger fired. Set it on the root action.")

    def details_of(self, id: repo.ActionIdentifier, caller: Caller) -> repo.NewAction:
        """The description of this action for the repository, created by this caller. Raises
        InvalidArgument."""
        task = self.task
        return repo.NewAction(
            id=id,
            parent_name=self.parent_name,
            type=self.type,
            group=optional_short(self.group, "group"),
            source=self.source,
            labels=tuple(
                repo.Label(each.key, short(each.value, "labels.value")) for each in self.labels or ()
            ),
            task=task.to_repo() if task else None,
            task_type=optional_short(self.task_type, "taskType"),
            function_name=optional_short(self.function_name, "functionName"),
            environment_name=optional_short(self.environment_name, "environmentName"),
            trigger=self.trigger.to_repo() if self.trigger else None,
            spec=self.spec,
            dependencies=tuple(self.dependencies or ()),
            created_by=caller.creator(self.created_by.to_repo() if self.created_by else None),
            created_at=optional_moment(self.created_at, "createdAt"),
            triggered_at=optional_moment(self.triggered_at, "triggeredAt"),
        )


@strawberry.input(description="An action to create.")
class CreateActionInput(ActionDetailsInput):
    id: ActionIdentifierInput = described("The name of the action.")
    parent_name: str | None = optional(
        "Its parent, which exists or is created by the same call. Null creates the root "
        "action, which is the run itself. A run has one root."
    )
    phase: repo.ActionPhase = described(
        "Its initial phase. RUNNING starts, and a terminal phase ends, at the time of creation "
        "until a phase update reports the time.",
        default=repo.ActionPhase.QUEUED,
    )
    attempts: int = described("The number of its latest attempt.", default=1)
    cache_status: repo.CacheStatus = described("The result of the cache.", default=repo.CacheStatus.DISABLED)
    update_triggered_at: bool = described("Sets triggeredAt to now.", default=False)

    def to_repo(self, caller: Caller) -> repo.NewAction:
        """The same action for the repository, created by this caller. Raises InvalidArgument."""
        return replace(
            self.details_of(self.id.to_repo(), caller),
            phase=self.phase,
            attempts=self.attempts,
            cache_status=self.cache_status,
            update_triggered_at=self.update_triggered_at,
        )


@strawberry.input(description="An event to insert, identified by its action, attempt, phase and version.")
class ActionEventInput:
    action: ActionIdentifierInput = described("The action that it is about.")
    attempt: int = described("The number of the attempt.")
    phase: repo.ActionPhase = described("The phase that the attempt is in.")
    version: int = described("Distinguishes reports of the same phase.", default=0)
    occurred_at: datetime = described("When it happened, according to the platform.")
    reported_at: datetime | None = optional("When the executor observed it.")
    error: ActionErrorInput | None = optional("The error.")
    logs: list[LogLinkInput] | None = optional("Links to logs.")
    outputs: JSON | None = optional("The outputs of the attempt.", metadata=TEXT)
    cluster: str | None = optional("The cluster that executes it.")
    cache_status: repo.CacheStatus | None = optional("The result of the cache.")
    cluster_events: list[ClusterEventInput] | None = optional("Messages from the cluster.")
    info: JSON | None = optional("Additional data from the executor.", metadata=TEXT)

    def to_repo(self) -> repo.NewEvent:
        """The same event for the repository. Raises InvalidArgument."""
        error = self.error
        return repo.NewEvent(
            action=self.action.to_repo(),
            attempt=self.attempt,
            phase=self.phase,
            version=self.version,
            occurred_at=moment(self.occurred_at, "occurredAt"),
            reported_at=optional_moment(self.reported_at, "reportedAt"),
            error=error.to_repo() if error else None,
            logs=tuple(
                repo.LogLink(short(log.name, "logs.name"), address(log.uri, "logs.uri"))
                for log in self.logs or ()
            ),
            outputs=self.outputs,
            cluster=optional_short(self.cluster, "cluster"),
            cache_status=self.cache_status,
            cluster_events=tuple(
                repo.ClusterEvent(
                    moment(item.occurred_at, "clusterEvents.occurredAt"),
                    message(item.message),
                    optional_short(item.reason, "clusterEvents.reason"),
                    item.warning,
                )
                for item in self.cluster_events or ()
            ),
            info=self.info,
        )


@strawberry.input(description="A phase update of an action.")
class UpdateActionPhaseInput:
    id: ActionIdentifierInput = described("The action.")
    phase: repo.ActionPhase = described("The new phase.")
    attempts: int = described("The number of the attempt that is in this phase.")
    cache_status: repo.CacheStatus | None = optional("The result of the cache; not changed if omitted.")
    start_time: datetime | None = optional(
        "When the attempt started running; by default when RUNNING is first reported. The "
        "earliest report counts, in any order of arrival, and moves a later createdAt."
    )
    end_time: datetime | None = optional(
        "When it ended, only with a terminal phase; by default `occurredAt` or now. The "
        "earliest report of this phase counts. An end before the start is shown as the start."
    )
    occurred_at: datetime | None = optional(
        "When it entered this phase. Distinguishes a resume (RUNNING after PAUSED) from a late "
        "report of RUNNING: of the two, the one that occurred later counts. A report without "
        "it counts as the latest, unless it is the first with a `startTime` before the pause."
    )

    def to_repo(self) -> tuple[repo.ActionIdentifier, repo.PhaseUpdate]:
        """The same update for the repository. Raises InvalidArgument."""
        update = repo.PhaseUpdate(
            self.phase,
            self.attempts,
            self.cache_status,
            optional_moment(self.end_time, "endTime"),
            optional_moment(self.start_time, "startTime"),
            optional_moment(self.occurred_at, "occurredAt"),
        )
        return self.id.to_repo(), update


@strawberry.input(description="Which run to abort, and why.")
class AbortRunInput:
    id: RunIdentifierInput = described("The run.")
    reason: str | None = optional("The reason, shown with the abort; at most 4096 characters.")


@strawberry.input(description="Which action to abort, and why.")
class AbortActionInput:
    id: ActionIdentifierInput = described("The action.")
    reason: str | None = optional("The reason, shown with the abort; at most 4096 characters.")


@strawberry.input(description="Which runs to abort, and why.")
class AbortRunsInput:
    filter: RunFilter = described(
        "The runs to abort; finished runs are not changed. At least one condition is required: "
        "a field that is not null, blank or an empty list."
    )
    reason: str | None = optional("The reason, shown with the abort; at most 4096 characters.")
    dry_run: bool = described("Only count the matching runs.", default=True)
    all: bool = described("Allows a filter without conditions, which matches every run.", default=False)

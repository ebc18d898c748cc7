"""What executors report: the GraphQL input of `report` and its conversion to the repository's types."""

from datetime import UTC, datetime

import strawberry

import repo
from graph.auth.caller import Caller
from graph.limits.texts import TEXT
from graph.schema.fields import described, optional
from graph.schema.inputs.checks import MAX_TEXT, message, optional_moment, short
from graph.schema.inputs.records import (
    ActionDetailsInput,
    ActionErrorInput,
    ActionEventInput,
    ActionIdentifierInput,
    ClusterEventInput,
    LogLinkInput,
)
from graph.schema.types.scalars import JSON


@strawberry.input(description="How much of an action is done.")
class ProgressInput:
    done: float = described("How much is done, at least 0.")
    total: float | None = optional("How much there is to do, in the same unit, if that is known.")
    message: str | None = optional(
        "What is being done. Of more than 4096 characters the middle is left out.", metadata=TEXT
    )

    def to_repo(self, reported_at: datetime) -> repo.Progress:
        """The same progress for the repository. Raises InvalidArgument."""
        text = None if self.message is None else message(self.message, MAX_TEXT)
        return repo.Progress(self.done, self.total, text, reported_at)


@strawberry.input(description="A value of a metric.")
class MetricInput:
    name: str = described(
        f"The name, such as `rows` or `loss`; 1 to 255 printable characters. An action has at most "
        f"{repo.MAX_METRICS} metrics."
    )
    value: float = described("The value.")
    unit: str | None = optional("The unit, such as `1`, `s` or `By`.")
    at: datetime | None = optional("The time of the value; by default that of the report.")

    def to_repo(self, reported_at: datetime) -> repo.NewMetric:
        """The same value for the repository. Raises InvalidArgument."""
        at = optional_moment(self.at, "metrics.at") or reported_at
        unit = None if self.unit is None else short(self.unit, "metrics.unit")
        return repo.NewMetric(self.name, self.value, at, unit)


@strawberry.input(
    description="What an executor says about one attempt of an action. All fields but `id` may be omitted: a "
    "report may describe the action, tell its phase, or only its progress."
)
class ReportInput:
    id: ActionIdentifierInput = described(
        "The action. It need not exist: without `details` it is a placeholder until a report describes it."
    )
    details: ActionDetailsInput | None = optional(
        "What describes the action. Needed once; repeating it has no effect."
    )
    attempt: int = described("The number of the attempt.", default=1)
    phase: repo.ActionPhase | None = optional(
        "The phase that the attempt is in. It is stored as an event, and moves the action to this phase "
        "unless the stored state is newer, as updateActionPhase does."
    )
    version: int = described("Distinguishes events of the same phase.", default=0)
    occurred_at: datetime | None = optional(
        "When it happened, according to the platform; by default `endTime` or `startTime`, or else now."
    )
    reported_at: datetime | None = optional("When the executor observed it.")
    start_time: datetime | None = optional(
        "When the attempt started running; by default when RUNNING occurred. The earliest report counts, in "
        "any order of arrival."
    )
    end_time: datetime | None = optional(
        "When it ended, only with a terminal phase; by default when that occurred. The earliest report "
        "counts."
    )
    cache_status: repo.CacheStatus | None = optional("The result of the cache; not changed if omitted.")
    error: ActionErrorInput | None = optional("Why the attempt did not succeed. Needs a phase.")
    logs: list[LogLinkInput] | None = optional("Links to logs. Need a phase.")
    outputs: JSON | None = optional("The outputs of the attempt. Need a phase.", metadata=TEXT)
    cluster: str | None = optional("The cluster that executes it. Needs a phase.")
    cluster_events: list[ClusterEventInput] | None = optional("Messages from the cluster. Need a phase.")
    info: JSON | None = optional("Additional data from the executor. Needs a phase.", metadata=TEXT)
    progress: ProgressInput | None = optional(
        "How much is done. The report with the latest time counts: `reportedAt`, `occurredAt` or now."
    )
    metrics: list[MetricInput] | None = optional("Numbers, such as a count of rows or a loss.")

    def to_repo(self, caller: Caller) -> repo.Report:
        """The same report for the repository. Raises InvalidArgument."""
        id, now = self.id.to_repo(), datetime.now(UTC)
        start_time = optional_moment(self.start_time, "startTime")
        end_time = optional_moment(self.end_time, "endTime")
        occurred_at = optional_moment(self.occurred_at, "occurredAt")
        observed_at = optional_moment(self.reported_at, "reportedAt") or occurred_at or now
        update = event = None
        if self.phase is None:
            self._check_without_phase()
        else:
            update = repo.PhaseUpdate(
                self.phase, self.attempt, self.cache_status, end_time, start_time, occurred_at
            )
            event = ActionEventInput(
                action=self.id,
                attempt=self.attempt,
                phase=self.phase,
                version=self.version,
                occurred_at=occurred_at or end_time or start_time or now,
                reported_at=self.reported_at,
                error=self.error,
                logs=self.logs,
                outputs=self.outputs,
                cluster=self.cluster,
                cache_status=self.cache_status,
                cluster_events=self.cluster_events,
                info=self.info,
            ).to_repo()
        return repo.Report(
            id,
            self.attempt,
            update,
            event,
            self.details.details_of(id, caller) if self.details else None,
            self.progress.to_repo(observed_at) if self.progress else None,
            tuple(each.to_repo(observed_at) for each in self.metrics or ()),
        )

    def _check_without_phase(self) -> None:
        """Raise InvalidArgument for a value that belongs to an event."""
        for name in "start_time end_time cache_status error logs outputs cluster cluster_events info".split():
            if getattr(self, name) is not None:
                field = name.split("_")[0] + name.title().replace("_", "")[len(name.split("_")[0]) :]
                raise repo.InvalidArgument(f"{field} needs a phase: it is stored with the event of the phase")

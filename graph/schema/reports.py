"""The mutation `report`: all that executors say, in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.item_errors import check_texts
from graph.limits.cost import batch
from graph.schema.fields import described
from graph.schema.inputs.reports import ReportInput
from graph.schema.payloads import ItemError, item_error
from graph.schema.types import values
from graph.schema.types.records import Action
from repo.domain.slices import in_slices


@dataclass(frozen=True, slots=True)
class StoredReport:
    """The result of a report."""

    id: repo.ActionIdentifier | None
    created: bool
    applied: bool
    changed: bool
    error: ItemError | None
    abort: repo.Abort | None


@dataclass(frozen=True, slots=True)
class StoredReports:
    """The results of a call."""

    results: Sequence[StoredReport]

    @property
    def created(self) -> int:
        """How many reports created their action."""
        return sum(each.created for each in self.results)

    @property
    def applied(self) -> int:
        """How many applied."""
        return sum(each.applied for each in self.results)

    @property
    def failed(self) -> int:
        """How many have an error."""
        return sum(each.error is not None for each in self.results)


@strawberry.type(description="The result of one report.")
class ReportResult:
    id: values.ActionIdentifier | None = described("The action; null if its name is not valid.")
    created: bool = described("Whether the report created the action.")
    applied: bool = described(
        "Whether the action is now in the reported phase; true for a report without a phase. False if the "
        "report was older than the stored state, was refused, or the action is aborted."
    )
    changed: bool = described("Whether anything was stored. False without `error`: it was a repeat.")
    error: ItemError | None = described("Why nothing of this report was stored.")
    abort: values.Abort | None = described(
        "The abort request that applies to the action: its own, or the nearest above it. Stop the work, and "
        "confirm with `clearAbortRequest`."
    )

    @strawberry.field(
        description="The action as it is now; null if the report was refused and there is none.",
        graphql_type=Action | None,
    )
    async def action(root: strawberry.Parent[StoredReport], info: Call) -> repo.Action | None:
        if root.id is None:
            return None
        return await info.context.loaders.action.load((root.id.key, (selected(info, "Action"),)))


@strawberry.type(description="The results of report.")
class ReportPayload:
    results: list[ReportResult] = described("The result of each report, in the order of the input.")
    created: int = described("How many actions were created.")
    applied: int = described("How many reports applied.")
    failed: int = described("How many reports were refused; see their `error`.")


@strawberry.type(description="Mutations for executors.")
class ReportMutation:
    @strawberry.mutation(
        description="Stores up to 5000 reports in one transaction: new actions, their events and phases, "
        "progress and metrics. Each report has a result of its own, and one that is refused keeps none of "
        "the others from being stored. Reports may be repeated and may arrive in any order: the earliest "
        "creation and start count, and a parent that is not stored yet is a placeholder until then.",
        graphql_type=ReportPayload,
        metadata=batch("reports"),
    )
    async def report(
        self, info: Call, reports: Annotated[list[ReportInput], strawberry.argument("The reports.")]
    ) -> StoredReports:
        errors: dict[int, repo.RepoError] = {}
        valid: dict[int, repo.Report] = {}
        async for index, each in in_slices(enumerate(reports)):
            try:
                check_texts(each)
                valid[index] = each.to_repo(info.context.caller)
            except repo.RepoError as error:
                errors[index] = error
        stored = await info.context.repository.reports.store(list(valid.values()))
        results = dict(zip(valid, stored, strict=True))
        info.context.reset_loaders()
        return StoredReports(
            [
                _refused(errors[index], index, None)
                if index in errors
                else _stored(results[index], index, valid[index].id)
                for index in range(len(reports))
            ]
        )


def _stored(result: repo.ReportResult, index: int, id: repo.ActionIdentifier) -> StoredReport:
    if result.error is not None:
        return _refused(result.error, index, id)
    return StoredReport(id, result.created, result.applied, result.changed, None, result.abort)


def _refused(error: repo.RepoError, index: int, id: repo.ActionIdentifier | None) -> StoredReport:
    return StoredReport(id, False, False, False, item_error(error, "reports", index), None)

"""The fields of Mutation that request, confirm and retry aborts."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.schema.fields import described
from graph.schema.inputs.checks import optional_short
from graph.schema.inputs.records import AbortActionInput, AbortRunInput, AbortRunsInput
from graph.schema.payloads import Id, WriteResult, action_field
from graph.schema.types.records import Run


@dataclass(frozen=True, slots=True)
class RunAbortResult:
    """The run of an abort request."""

    id: repo.RunIdentifier
    requested: bool


@strawberry.field(description="The run as it is now.", graphql_type=Run)
def _run(root: strawberry.Parent[RunAbortResult], info: Call) -> Awaitable[repo.Run | None]:
    return info.context.loaders.run.load((root.id.key, (selected(info, "Run"),)))


_REQUESTED = "False if everything had finished already, or the abort had been requested before."


@strawberry.type(description="The result of abortRun.")
class AbortRunPayload:
    run = _run
    requested: bool = described(_REQUESTED)


@strawberry.type(description="The result of abortAction.")
class AbortActionPayload:
    action = action_field
    requested: bool = described(_REQUESTED)


@strawberry.type(description="The result of abortRuns.")
class AbortRunsPayload:
    matched: int = described("How many unfinished runs match.")
    requested: int = described("How many of them were aborted; 0 in a dry run.")
    batch: strawberry.ID | None = described(
        "Identifies these aborts: pass it to `abortProgress` to follow them. Null in a dry "
        "run, or if none was requested."
    )


@strawberry.type(description="The result of markAbortAttempt.")
class MarkAbortAttemptPayload:
    action = action_field
    attempt_count: int = described("How many times the executor has been notified, this time included.")


@strawberry.type(description="The result of clearAbortRequest.")
class ClearAbortRequestPayload:
    action = action_field


@strawberry.type(description="The result of retryAbort.")
class RetryAbortPayload:
    action = action_field
    requested: bool = described("False if it was not FAILED; then nothing has changed.")


@strawberry.type(description="The aborts among what can be written.")
class AbortMutation:
    @strawberry.mutation(
        description="Aborts a run: its root action is ABORTED at once, and the request remains until the "
        "executor confirms it. The caller is recorded as requestedBy. If the root has finished, it is not "
        "changed; instead each unfinished action below it is ABORTED with a request of its own.",
        graphql_type=AbortRunPayload,
    )
    async def abort_run(
        self, info: Call, input: Annotated[AbortRunInput, strawberry.argument("The run.")]
    ) -> RunAbortResult:
        context, run = info.context, input.id.to_repo()
        reason = optional_short(input.reason, "reason")
        requested = await context.repository.abort_run(run, reason, context.caller.identity)
        context.reset_loaders()
        return RunAbortResult(run, requested)

    @strawberry.mutation(
        description="Aborts an action; aborting a root action aborts its run. The caller is recorded as "
        "requestedBy. If the action has finished, it is not changed; instead each unfinished "
        "action below it is ABORTED with a request of its own.",
        graphql_type=AbortActionPayload,
    )
    async def abort_action(
        self, info: Call, input: Annotated[AbortActionInput, strawberry.argument("The action.")]
    ) -> WriteResult:
        context, action = info.context, input.id.to_repo()
        reason = optional_short(input.reason, "reason")
        requested = await context.repository.abort_action(action, reason, context.caller.identity)
        context.reset_loaders()
        return WriteResult(action, requested=requested)

    @strawberry.mutation(
        description="Aborts all matching unfinished runs in one transaction. A dry run, the default, only "
        "counts them. BAD_USER_INPUT if the filter has no condition, unless `all` is true."
    )
    async def abort_runs(
        self, info: Call, input: Annotated[AbortRunsInput, strawberry.argument("The runs.")]
    ) -> AbortRunsPayload:
        context, reason = info.context, optional_short(input.reason, "reason")
        aborted = await context.repository.aborts.abort_runs(
            input.filter.to_repo(), reason, context.caller.identity, input.dry_run, input.all
        )
        context.reset_loaders()
        batch = None if aborted.batch is None else strawberry.ID(aborted.batch)
        return AbortRunsPayload(matched=aborted.matched, requested=aborted.requested, batch=batch)

    @strawberry.mutation(
        description="Records an attempt to notify the executor of an abort. Call it before the attempt, or "
        "with the error after a failed one. CONFLICT if the action has no unconfirmed abort.",
        graphql_type=MarkAbortAttemptPayload,
    )
    async def mark_abort_attempt(
        self,
        info: Call,
        id: Id,
        error: Annotated[str | None, strawberry.argument("Why the attempt failed.")] = None,
    ) -> WriteResult:
        action = id.to_repo()
        count = await info.context.repository.mark_abort_attempt(action, error)
        info.context.reset_loaders()
        return WriteResult(action, attempt_count=count)

    @strawberry.mutation(
        description="Confirms an abort: the work has stopped. Unfinished actions below it are ABORTED and "
        "confirmed too, with the same reason. The requester and the reason are kept.",
        graphql_type=ClearAbortRequestPayload,
    )
    async def clear_abort_request(self, info: Call, id: Id) -> WriteResult:
        action = id.to_repo()
        await info.context.repository.clear_abort_request(action)
        info.context.reset_loaders()
        return WriteResult(action)

    @strawberry.mutation(
        description="Starts the attempts of a FAILED abort again from the first. Any other abort is not "
        "changed, and requested is false.",
        graphql_type=RetryAbortPayload,
    )
    async def retry_abort(self, info: Call, id: Id) -> WriteResult:
        action = id.to_repo()
        requested = await info.context.repository.aborts.retry(action)
        info.context.reset_loaders()
        return WriteResult(action, requested=requested)

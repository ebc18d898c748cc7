"""Owns the aborts of the API: the fields of Mutation that ask for them, confirm them and try them again."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.schema.inputs.lengths import optional_short
from graph.schema.inputs.records import AbortActionInput, AbortRunInput, AbortRunsInput
from graph.schema.payloads import Id, Written, written_action
from graph.schema.types.records import Run


@dataclass(frozen=True, slots=True)
class RunAborted:
    """The run that an abort was about."""

    id: repo.RunIdentifier
    requested: bool


@strawberry.field(description="The run as it is now.", graphql_type=Run)
def _run(root: strawberry.Parent[RunAborted], info: Call) -> Awaitable[repo.Run | None]:
    return info.context.loaders.run.load((root.id.key, (selected(info, "Run"),)))


@strawberry.type(description="What abortRun did.")
class AbortRunPayload:
    run = _run
    requested: bool = strawberry.field(
        description="False: all of it had finished, or its abort had been asked for already."
    )


@strawberry.type(description="What abortAction did.")
class AbortActionPayload:
    action = written_action
    requested: bool = strawberry.field(
        description="False: all of it had finished, or its abort had been asked for already."
    )


@strawberry.type(description="What abortRuns did.")
class AbortRunsPayload:
    matched: int = strawberry.field(description="How many unfinished runs match.")
    requested: int = strawberry.field(description="How many of them were aborted; 0 in a dry run.")
    batch: strawberry.ID | None = strawberry.field(
        description="What stands for all of them: `abortProgress` tells how far they have come. Null in "
        "a dry run, and where none was requested."
    )


@strawberry.type(description="What markAbortAttempt did.")
class MarkAbortAttemptPayload:
    action = written_action
    attempt_count: int = strawberry.field(
        description="How often the executor has been told, this time included."
    )


@strawberry.type(description="What clearAbortRequest did.")
class ClearAbortRequestPayload:
    action = written_action


@strawberry.type(description="What retryAbort did.")
class RetryAbortPayload:
    action = written_action
    requested: bool = strawberry.field(description="False: it was not given up, and nothing changed.")


@strawberry.type(description="The aborts among what can be written.")
class AbortMutation:
    @strawberry.mutation(
        description="Aborts a run: its root action is ABORTED at once, and the request stays until the "
        "executor confirms it. The caller's own identity is recorded as requestedBy. A finished root stays "
        "as it ended; then each action below it that has not finished is ABORTED, with a request of its own.",
        graphql_type=AbortRunPayload,
    )
    async def abort_run(
        self, info: Call, input: Annotated[AbortRunInput, strawberry.argument(description="The run.")]
    ) -> RunAborted:
        context, run = info.context, input.id.to_repo()
        reason = optional_short(input.reason, "reason")
        requested = await context.repository.abort_run(run, reason, context.caller.identity)
        context.forget()
        return RunAborted(run, requested)

    @strawberry.mutation(
        description="Aborts an action; of a root action it is the abort of its run. The caller's own "
        "identity is recorded as requestedBy. A finished action stays as it ended; then each action below it "
        "that has not finished is ABORTED, with a request of its own.",
        graphql_type=AbortActionPayload,
    )
    async def abort_action(
        self, info: Call, input: Annotated[AbortActionInput, strawberry.argument(description="The action.")]
    ) -> Written:
        context, action = info.context, input.id.to_repo()
        reason = optional_short(input.reason, "reason")
        requested = await context.repository.abort_action(action, reason, context.caller.identity)
        context.forget()
        return Written(action, requested=requested)

    @strawberry.mutation(
        description="Aborts all runs that match and are not finished, in one transaction. A dry run, the "
        "default, only counts them. BAD_USER_INPUT where the filter has no condition, unless `all` is true."
    )
    async def abort_runs(
        self, info: Call, input: Annotated[AbortRunsInput, strawberry.argument(description="The runs.")]
    ) -> AbortRunsPayload:
        context, reason = info.context, optional_short(input.reason, "reason")
        aborted = await context.repository.abort_runs(
            input.filter.to_repo(), reason, context.caller.identity, input.dry_run, input.all
        )
        context.forget()
        batch = None if aborted.batch is None else strawberry.ID(aborted.batch)
        return AbortRunsPayload(matched=aborted.matched, requested=aborted.requested, batch=batch)

    @strawberry.mutation(
        description="Notes that the executor was told of an abort, before telling it or when telling it "
        "failed. CONFLICT where no abort of the action waits to be confirmed.",
        graphql_type=MarkAbortAttemptPayload,
    )
    async def mark_abort_attempt(
        self,
        info: Call,
        id: Id,
        error: Annotated[str | None, strawberry.argument(description="Why it did not work.")] = None,
    ) -> Written:
        action = id.to_repo()
        count = await info.context.repository.mark_abort_attempt(action, error)
        info.context.forget()
        return Written(action, attempt_count=count)

    @strawberry.mutation(
        description="Confirms an abort: the action is gone, and the request no longer waits. What has not "
        "finished below it is ABORTED with it, for the same reason. Who asked and why is kept.",
        graphql_type=ClearAbortRequestPayload,
    )
    async def clear_abort_request(self, info: Call, id: Id) -> Written:
        action = id.to_repo()
        await info.context.repository.clear_abort_request(action)
        info.context.forget()
        return Written(action)

    @strawberry.mutation(
        description="Asks the executor again for an abort that was given up (FAILED), with all attempts "
        "before it. Any other stays as it is: requested is false.",
        graphql_type=RetryAbortPayload,
    )
    async def retry_abort(self, info: Call, id: Id) -> Written:
        action = id.to_repo()
        requested = await info.context.repository.retry_abort(action)
        info.context.forget()
        return Written(action, requested=requested)

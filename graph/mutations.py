"""Owns what can be written: the fields of Mutation."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph import values
from graph.context import Call
from graph.execution import selected
from graph.inputs import (
    AbortActionInput,
    AbortRunInput,
    AbortRunsInput,
    ActionEventInput,
    ActionIdentifierInput,
    CreateActionInput,
    UpdateActionPhaseInput,
)
from graph.types import Action, Run

Id = Annotated[ActionIdentifierInput, strawberry.argument(description="The action.")]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write was about. What it left behind is read only when it is selected."""

    id: repo.ActionIdentifier
    created: bool = False
    applied: bool = False
    requested: bool = False
    attempt_count: int = 0


@dataclass(frozen=True, slots=True)
class RunAborted:
    """The run that an abort was about."""

    id: repo.RunIdentifier
    requested: bool


@dataclass(frozen=True, slots=True)
class AllCreated:
    """The actions that a batch was about."""

    ids: list[repo.ActionIdentifier]
    created: int


@dataclass(frozen=True, slots=True)
class AllUpdated:
    """What became of each update of a batch."""

    results: list[Written]

    @property
    def applied(self) -> int:
        """How many of them applied."""
        return sum(result.applied for result in self.results)


@strawberry.field(description="The action as it is now.", graphql_type=Action)
def _action(root: strawberry.Parent[Written], info: Call) -> Awaitable[repo.Action | None]:
    return info.context.loaders.action.load((root.id.key, (selected(info, "Action"),)))


@strawberry.field(description="The run as it is now.", graphql_type=Run)
def _run(root: strawberry.Parent[RunAborted], info: Call) -> Awaitable[repo.Run | None]:
    return info.context.loaders.run.load((root.id.key, (selected(info, "Run"),)))


@strawberry.field(
    description="The actions as they are now, as many and in the order as in the input.",
    graphql_type=list[Action],
)
async def _actions(root: strawberry.Parent[AllCreated], info: Call) -> list[repo.Action | None]:
    attributes = selected(info, "Action")
    return await info.context.loaders.action.load_many((each.key, (attributes,)) for each in root.ids)


@strawberry.type(description="What createAction did.")
class CreateActionPayload:
    action = _action
    created: bool = strawberry.field(description="False: it existed and was left as it was.")


@strawberry.type(description="What createActions did.")
class CreateActionsPayload:
    actions = _actions
    created: int = strawberry.field(description="How many of them were new.")


@strawberry.type(description="What insertEvents did.")
class InsertEventsPayload:
    inserted: int = strawberry.field(description="How many events were new.")
    duplicates: int = strawberry.field(description="How many were stored already, and stay as they were.")


@strawberry.type(description="What updateActionPhase did.")
class UpdateActionPhasePayload:
    action = _action
    applied: bool = strawberry.field(
        description="False: the update was older than what is stored, and nothing changed."
    )


@strawberry.type(description="What updateActionPhases did.")
class UpdateActionPhasesPayload:
    results: list[UpdateActionPhasePayload] = strawberry.field(
        description="For each update, in the order of the input, what became of it."
    )
    applied: int = strawberry.field(description="How many of them applied.")


@strawberry.type(description="What abortRun did.")
class AbortRunPayload:
    run = _run
    requested: bool = strawberry.field(
        description="False: it had finished, or its abort had been asked for already."
    )


@strawberry.type(description="What abortAction did.")
class AbortActionPayload:
    action = _action
    requested: bool = strawberry.field(
        description="False: it had finished, or its abort had been asked for already."
    )


@strawberry.type(description="What abortRuns did.")
class AbortRunsPayload:
    matched: int = strawberry.field(description="How many unfinished runs match.")
    requested: int = strawberry.field(description="How many of them were aborted; 0 in a dry run.")


@strawberry.type(description="What markAbortAttempt did.")
class MarkAbortAttemptPayload:
    action = _action
    attempt_count: int = strawberry.field(
        description="How often the executor has been told, this time included."
    )


@strawberry.type(description="What clearAbortRequest did.")
class ClearAbortRequestPayload:
    action = _action


@strawberry.type(description="What updateActionState did.")
class UpdateActionStatePayload:
    action = _action


@strawberry.type(description="What notifyStateUpdate did.")
class NotifyStateUpdatePayload:
    id: values.ActionIdentifier = strawberry.field(description="The action that watchers are told of.")


@strawberry.type(description="What can be written. Each field is one transaction.")
class Mutation:
    @strawberry.mutation(
        description="Creates an action, or a run where it has no parent. Idempotent: an action that exists "
        "comes back unchanged with created false.",
        graphql_type=CreateActionPayload,
    )
    async def create_action(
        self,
        info: Call,
        input: Annotated[CreateActionInput, strawberry.argument(description="The action.")],
    ) -> Written:
        action, created = await info.context.repository.create_action(input.to_repo())
        info.context.forget()
        return Written(action.identifier, created=created)

    @strawberry.mutation(
        description="Creates up to 5000 actions in one transaction, parents and children in any order.",
        graphql_type=CreateActionsPayload,
    )
    async def create_actions(
        self,
        info: Call,
        input: Annotated[list[CreateActionInput], strawberry.argument(description="The actions.")],
    ) -> AllCreated:
        new = [item.to_repo() for item in input]
        created = await info.context.repository.create_actions(new)
        info.context.forget()
        return AllCreated([action.id for action in new], created)

    @strawberry.mutation(
        description="Stores up to 5000 events in one transaction. Idempotent on (action, attempt, phase, "
        "version). If one of the actions does not exist, nothing is stored."
    )
    async def insert_events(
        self,
        info: Call,
        events: Annotated[list[ActionEventInput], strawberry.argument(description="The events.")],
    ) -> InsertEventsPayload:
        inserted = await info.context.repository.insert_events([event.to_repo() for event in events])
        info.context.forget()
        return InsertEventsPayload(inserted=inserted, duplicates=len(events) - inserted)

    @strawberry.mutation(
        description="Moves an action to a phase, unless what is stored is newer: a higher attempt, or a "
        "later phase of the same attempt.",
        graphql_type=UpdateActionPhasePayload,
    )
    async def update_action_phase(
        self,
        info: Call,
        input: Annotated[UpdateActionPhaseInput, strawberry.argument(description="The update.")],
    ) -> Written:
        action, update = input.to_repo()
        (applied,) = await info.context.repository.update_action_phases([(action, update)])
        info.context.forget()
        return Written(action, applied=applied)

    @strawberry.mutation(
        description="Up to 5000 phase updates in one transaction, in the order of the input. If one of the "
        "actions does not exist, nothing is changed.",
        graphql_type=UpdateActionPhasesPayload,
    )
    async def update_action_phases(
        self,
        info: Call,
        input: Annotated[list[UpdateActionPhaseInput], strawberry.argument(description="The updates.")],
    ) -> AllUpdated:
        updates = [item.to_repo() for item in input]
        applied = await info.context.repository.update_action_phases(updates)
        info.context.forget()
        pairs = zip(updates, applied, strict=True)
        return AllUpdated([Written(action, applied=result) for (action, _), result in pairs])

    @strawberry.mutation(
        description="Aborts a run: its root action is ABORTED at once, and the request stays until the "
        "executor confirms it. The caller's own identity is recorded as requestedBy. A finished run stays "
        "as it ended: requested is false.",
        graphql_type=AbortRunPayload,
    )
    async def abort_run(
        self, info: Call, input: Annotated[AbortRunInput, strawberry.argument(description="The run.")]
    ) -> RunAborted:
        context, run = info.context, input.id.to_repo()
        requested = await context.repository.abort_run(run, input.reason, context.identity)
        context.forget()
        return RunAborted(run, requested)

    @strawberry.mutation(
        description="Aborts an action; of a root action it is the abort of its run. The caller's own "
        "identity is recorded as requestedBy. A finished action stays as it ended: requested is false.",
        graphql_type=AbortActionPayload,
    )
    async def abort_action(
        self, info: Call, input: Annotated[AbortActionInput, strawberry.argument(description="The action.")]
    ) -> Written:
        context, action = info.context, input.id.to_repo()
        requested = await context.repository.abort_action(action, input.reason, context.identity)
        context.forget()
        return Written(action, requested=requested)

    @strawberry.mutation(
        description="Aborts all runs that match and are not finished, in one transaction. A dry run, the "
        "default, only counts them."
    )
    async def abort_runs(
        self, info: Call, input: Annotated[AbortRunsInput, strawberry.argument(description="The runs.")]
    ) -> AbortRunsPayload:
        context = info.context
        matched, requested = await context.repository.abort_runs(
            input.filter.to_repo(), input.reason, context.identity, input.dry_run
        )
        context.forget()
        return AbortRunsPayload(matched=matched, requested=requested)

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
        description="Confirms an abort: the action is gone, and the request no longer waits. Who asked and "
        "why is kept.",
        graphql_type=ClearAbortRequestPayload,
    )
    async def clear_abort_request(self, info: Call, id: Id) -> Written:
        action = id.to_repo()
        await info.context.repository.clear_abort_request(action)
        info.context.forget()
        return Written(action)

    @strawberry.mutation(
        description="Stores the executor's own text about an action, and tells the watchers.",
        graphql_type=UpdateActionStatePayload,
    )
    async def update_action_state(
        self,
        info: Call,
        id: Id,
        state: Annotated[str, strawberry.argument(description="The text, which replaces the one before.")],
    ) -> Written:
        action = id.to_repo()
        await info.context.repository.update_action_state(action, state)
        info.context.forget()
        return Written(action)

    @strawberry.mutation(
        description="Tells the watchers that the state of an action changed, where the executor keeps it "
        "elsewhere.",
        graphql_type=NotifyStateUpdatePayload,
    )
    async def notify_state_update(self, info: Call, id: Id) -> Written:
        action = id.to_repo()
        await info.context.repository.notify_state_update(action)
        return Written(action)

"""The fields of Mutation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.item_errors import name_items_in_errors, read_items
from graph.limits.cost import batch
from graph.schema.aborts import AbortMutation
from graph.schema.artifacts import ArtifactMutation
from graph.schema.fields import described
from graph.schema.inputs.records import ActionEventInput, CreateActionInput, UpdateActionPhaseInput
from graph.schema.leases import LeaseMutation
from graph.schema.logs import LogMutation
from graph.schema.notes import NoteMutation
from graph.schema.payloads import Id, WriteResult, action_field
from graph.schema.reports import ReportMutation
from graph.schema.types import values
from graph.schema.types.records import Action

_PHASE = frozenset({"phase"})


@dataclass(frozen=True, slots=True)
class CreatedBatch:
    """The actions of a batch."""

    ids: list[repo.ActionIdentifier]
    created: int


@dataclass(frozen=True, slots=True)
class UpdatedBatch:
    """The result of each update of a batch."""

    results: list[WriteResult]

    @property
    def applied(self) -> int:
        """The number of updates that applied."""
        return sum(result.applied for result in self.results)

    @property
    def changed(self) -> int:
        """The number of updates that changed anything."""
        return sum(result.changed for result in self.results)


@strawberry.field(
    description="The actions as they are now, one for each input, in the same order.",
    graphql_type=list[Action],
)
async def _actions(root: strawberry.Parent[CreatedBatch], info: Call) -> list[repo.Action | None]:
    attributes = selected(info, "Action")
    return await info.context.loaders.action.load_many((each.key, (attributes,)) for each in root.ids)


async def _count_aborted(info: Call, ids: Iterable[repo.ActionIdentifier]) -> int:
    actions = await info.context.loaders.action.load_many((each.key, (_PHASE,)) for each in ids)
    return sum(each is not None and each.phase is repo.ActionPhase.ABORTED for each in actions)


@strawberry.field(
    description="True if it is ABORTED because it or an ancestor was aborted; its abort request waits for "
    "the executor. Do not start it.",
    graphql_type=bool,
)
async def _aborted(root: strawberry.Parent[WriteResult], info: Call) -> bool:
    return await _count_aborted(info, [root.id]) == 1


@strawberry.field(
    description="How many of the actions are ABORTED because they or an ancestor were aborted; see their "
    "`phase`. Do not start them.",
    graphql_type=int,
)
async def _all_aborted(root: strawberry.Parent[CreatedBatch], info: Call) -> int:
    return await _count_aborted(info, root.ids)


@strawberry.type(description="The result of createAction.")
class CreateActionPayload:
    action = action_field
    created: bool = described("False if it existed already; then only an earlier createdAt is stored.")
    aborted = _aborted


@strawberry.type(description="The result of createActions.")
class CreateActionsPayload:
    actions = _actions
    created: int = described("How many of them were new.")
    aborted = _all_aborted


@strawberry.type(description="The result of insertEvents.")
class InsertEventsPayload:
    inserted: int = described("How many events were new.")
    duplicates: int = described("How many were stored already; these are not changed.")


@strawberry.type(description="The result of updateActionPhase.")
class UpdateActionPhasePayload:
    action = action_field
    applied: bool = described(
        "Whether the action is now in the phase of the update. False if the update was older "
        "than the stored state, or the action is below an aborted one."
    )
    changed: bool = described(
        "Whether anything was stored. False with `applied`: the update was a repeat. True without `applied`: "
        "a late update contributed an earlier start, or the action was aborted."
    )


@strawberry.type(description="The result of updateActionPhases.")
class UpdateActionPhasesPayload:
    results: list[UpdateActionPhasePayload] = described(
        "The result of each update, in the order of the input."
    )
    applied: int = described("How many of them applied.")
    changed: int = described("How many of them changed anything.")


@strawberry.type(description="The result of updateActionState.")
class UpdateActionStatePayload:
    action = action_field


@strawberry.type(description="The result of notifyStateUpdate.")
class NotifyStateUpdatePayload:
    id: values.ActionIdentifier = described("The action whose subscribers were notified.")


@strawberry.type(description="Mutations. Each field is one transaction.")
class Mutation(AbortMutation, ArtifactMutation, LeaseMutation, LogMutation, NoteMutation, ReportMutation):
    @strawberry.mutation(
        description="Creates an action; without a parent, a run. Idempotent: an existing action is "
        "returned with created false, and only an earlier createdAt is stored. An action below "
        "an aborted one is ABORTED too, and `aborted` is true.",
        graphql_type=CreateActionPayload,
    )
    async def create_action(
        self, info: Call, input: Annotated[CreateActionInput, strawberry.argument("The action.")]
    ) -> WriteResult:
        new = input.to_repo(info.context.caller)
        created = await info.context.repository.actions.create([new])
        info.context.reset_loaders()
        return WriteResult(new.id, created=created == 1)

    @strawberry.mutation(
        description="Creates up to 5000 actions in one transaction, parents and children in any order.",
        graphql_type=CreateActionsPayload,
        metadata=batch("input"),
    )
    async def create_actions(
        self, info: Call, input: Annotated[list[CreateActionInput], strawberry.argument("The actions.")]
    ) -> CreatedBatch:
        new = await read_items("input", input, lambda item: item.to_repo(info.context.caller))
        with name_items_in_errors("input", new, lambda action: action.id):
            created = await info.context.repository.actions.create(new)
        info.context.reset_loaders()
        return CreatedBatch([action.id for action in new], created)

    @strawberry.mutation(
        description="Stores up to 5000 events in one transaction. Idempotent on (action, attempt, phase, "
        "version). If one of the actions does not exist, nothing is stored.",
        metadata=batch("events"),
    )
    async def insert_events(
        self, info: Call, events: Annotated[list[ActionEventInput], strawberry.argument("The events.")]
    ) -> InsertEventsPayload:
        new = await read_items("events", events, lambda event: event.to_repo())
        with name_items_in_errors("events", new, lambda event: event.action):
            inserted = await info.context.repository.insert_events(new)
        info.context.reset_loaders()
        return InsertEventsPayload(inserted=inserted, duplicates=len(events) - inserted)

    @strawberry.mutation(
        description="Moves an action to a phase, unless the stored state is newer: a higher attempt, or a "
        "later phase of the same attempt. Only PAUSED can go back to RUNNING (see `occurredAt`). Omitted "
        "fields are not changed. Updates may be repeated and may arrive in any order.",
        graphql_type=UpdateActionPhasePayload,
    )
    async def update_action_phase(
        self, info: Call, input: Annotated[UpdateActionPhaseInput, strawberry.argument("The update.")]
    ) -> WriteResult:
        action, update = input.to_repo()
        (advanced,) = await info.context.repository.actions.update_phases([(action, update)])
        info.context.reset_loaders()
        return WriteResult(action, applied=advanced.applied, changed=advanced.changed)

    @strawberry.mutation(
        description="Up to 5000 phase updates in one transaction, in the order of the input. If one of the "
        "actions does not exist, nothing is changed.",
        graphql_type=UpdateActionPhasesPayload,
        metadata=batch("input"),
    )
    async def update_action_phases(
        self, info: Call, input: Annotated[list[UpdateActionPhaseInput], strawberry.argument("The updates.")]
    ) -> UpdatedBatch:
        updates = await read_items("input", input, lambda item: item.to_repo())
        with name_items_in_errors("input", updates, lambda update: update[0]):
            advanced = await info.context.repository.actions.update_phases(updates)
        info.context.reset_loaders()
        pairs = zip(updates, advanced, strict=True)
        return UpdatedBatch(
            [WriteResult(action, applied=each.applied, changed=each.changed) for (action, _), each in pairs]
        )

    @strawberry.mutation(
        description="Stores the executor's text about an action and notifies subscribers.",
        graphql_type=UpdateActionStatePayload,
    )
    async def update_action_state(
        self,
        info: Call,
        id: Id,
        state: Annotated[str, strawberry.argument("The text, which replaces the one before.")],
    ) -> WriteResult:
        action = id.to_repo()
        await info.context.repository.update_action_state(action, state)
        info.context.reset_loaders()
        return WriteResult(action)

    @strawberry.mutation(
        description="Notifies subscribers that the state of an action changed, for executors that store it "
        "elsewhere.",
        graphql_type=NotifyStateUpdatePayload,
    )
    async def notify_state_update(self, info: Call, id: Id) -> WriteResult:
        action = id.to_repo()
        await info.context.repository.notify_state_update(action)
        return WriteResult(action)

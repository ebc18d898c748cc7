"""Payloads of mutations: the result of the write, and the action, which is read only if selected."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.execution import selected
from graph.schema.fields import described
from graph.schema.inputs.records import ActionIdentifierInput
from graph.schema.types.records import Action

Id = Annotated[ActionIdentifierInput, strawberry.argument("The action.")]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of a write. The new state of the action is read only if selected."""

    id: repo.ActionIdentifier
    created: bool = False
    applied: bool = False
    changed: bool = False
    requested: bool = False
    attempt_count: int = 0


@strawberry.field(description="The action as it is now.", graphql_type=Action)
def action_field(root: strawberry.Parent[WriteResult], info: Call) -> Awaitable[repo.Action | None]:
    return info.context.loaders.action.load((root.id.key, (selected(info, "Action"),)))


@strawberry.type(description="Why one item of a call was refused. The others are stored.")
class ItemError:
    code: str = described("The code, such as BAD_USER_INPUT, NOT_FOUND, CONFLICT or FORBIDDEN.")
    message: str = described("A message for people.")
    path: list[str] = described("The place of the item in the arguments, such as `reports`, `3`.")


def item_error(error: repo.RepoError, argument: str, index: int) -> ItemError:
    """The error of the item at this index of an argument."""
    return ItemError(code=error.code, message=f"{argument}[{index}]: {error}", path=[argument, str(index)])

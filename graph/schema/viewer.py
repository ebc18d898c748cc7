"""The GraphQL type of the caller: Viewer."""

from collections.abc import Iterable

import strawberry

import repo
from graph.auth.caller import ANONYMOUS, Caller
from graph.limits.cost import SHORT_LIST
from graph.schema.fields import described
from graph.schema.types import values


@strawberry.type(description="A role in a project and domain.")
class Grant:
    role: repo.Role = described("The role.")
    project: str | None = described("The project; null for all of them.")
    domain: str | None = described("The domain; null for all of them.")


@strawberry.type(description="The caller and its roles.")
class Viewer:
    @strawberry.field(
        description="The identity of the caller; null if the server requires no authentication.",
        graphql_type=values.Identity | None,
    )
    def identity(root: strawberry.Parent[Caller]) -> repo.Identity | None:
        return None if root is ANONYMOUS else root.identity

    @strawberry.field(
        description="The roles of the caller. A caller without roles sees nothing.",
        graphql_type=list[Grant],
        metadata=SHORT_LIST,
    )
    def grants(root: strawberry.Parent[Caller]) -> Iterable[repo.Grant]:
        return sorted(
            root.access.grants, key=lambda each: (each.project or "", each.domain or "", each.role.value)
        )

    @strawberry.field(description="Whether the caller may name others as creators.")
    def acts_for_others(root: strawberry.Parent[Caller]) -> bool:
        return root.access.acts_for_others

"""Owns what the API says of who asks."""

from collections.abc import Iterable

import strawberry

import repo
from graph.auth.caller import ANYBODY, Caller
from graph.schema.types import values
from graph.schema.types.enums import Role


@strawberry.type(description="A role, and where somebody has it.")
class Grant:
    role: Role = strawberry.field(description="The role.")
    project: str | None = strawberry.field(description="The project; null for all of them.")
    domain: str | None = strawberry.field(description="The domain; null for all of them.")


@strawberry.type(description="Who asks, and what they may do.")
class Viewer:
    @strawberry.field(
        description="Who it is; null where the server asks nobody.", graphql_type=values.Identity | None
    )
    def identity(root: strawberry.Parent[Caller]) -> repo.Identity | None:
        return None if root is ANYBODY else root.identity

    @strawberry.field(
        description="What they may do, and where. Whoever has none sees nothing.", graphql_type=list[Grant]
    )
    def grants(root: strawberry.Parent[Caller]) -> Iterable[repo.Grant]:
        return sorted(
            root.access.grants, key=lambda each: (each.project or "", each.domain or "", each.role.value)
        )

    @strawberry.field(description="Whether what they say about who created something counts.")
    def acts_for_others(root: strawberry.Parent[Caller]) -> bool:
        return root.access.acts_for_others

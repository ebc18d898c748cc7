"""The GraphQL inputs of filters have exactly the fields that the repository's filters declare."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

import repo
from graph.schema.inputs import filters

BIG_INT = "typing.Optional[graph.schema.types.scalars.BigInt]"


def types_of(kind: type[Any]) -> dict[str, str]:
    """The types of the fields in a common notation."""
    hints = get_type_hints(kind, include_extras=False)
    written = {each.name: str(hints[each.name]) for each in fields(kind)}
    for package in ("repo.actions.filters.", "graph.schema.inputs.filters.", "repo.domain.phases."):
        written = {name: text.replace(package, "") for name, text in written.items()}
    identifiers = (
        "graph.schema.inputs.identifiers.RunIdentifierInput",
        "repo.domain.identifiers.RunIdentifier",
    )
    written = {name: text.replace(*identifiers) for name, text in written.items()}
    written = {name: text.replace(BIG_INT, "int | None") for name, text in written.items()}
    return {name: text.replace(", ...]", "]").replace("tuple[", "list[") for name, text in written.items()}


@pytest.mark.parametrize(
    ("declared", "offered"),
    [(repo.RunFilter, filters.RunFilter), (repo.ActionFilter, filters.ActionFilter)],
)
def test_every_declared_filter_is_a_field_of_the_input(declared: type[Any], offered: type[Any]) -> None:
    of_repo, of_input = types_of(declared), types_of(offered)
    missing, unknown = of_repo.keys() - of_input.keys(), of_input.keys() - of_repo.keys()
    where = f"graph.schema.inputs.filters.{offered.__name__}"
    assert not missing, f"add to {where}: {', '.join(sorted(missing))}; then run `make schema`"
    assert not unknown, f"declare in repo.actions.filters: {', '.join(sorted(unknown))}"
    assert of_repo == of_input

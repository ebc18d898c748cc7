"""Compiles selections: plain fields to generated code, the remaining ones to a list of what to resolve."""

from dataclasses import dataclass
from functools import partial

from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLSchema
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet

from graph.execution.completion import Collect, Complete, OutputWriter, RemainingField
from graph.execution.rows import RowEncoder


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The compiled fields that are selected of one type."""

    build: Complete
    """Makes the struct of an object. May raise anything."""
    remaining: list[RemainingField]
    """The fields to set on the struct afterwards."""


def compile_selection(
    schema: GraphQLSchema, parent: GraphQLObjectType, grouped: GroupedFieldSet, collect: Collect
) -> Selection:
    """Compile the plain ones of these fields of `parent`."""
    writer = OutputWriter(schema, collect, partial(RowEncoder, schema, collect))
    name, remaining = writer.object(parent, grouped)
    return Selection(writer.compile()[name], remaining)


def compile_completion(
    schema: GraphQLSchema, kind: GraphQLOutputType, details: FieldDetailsList, collect: Collect
) -> Complete | None:
    """Compile the completion of values of this type; None if something in it has to be resolved."""
    writer = OutputWriter(schema, collect, partial(RowEncoder, schema, collect))
    lines: list[str] = []
    if not writer.value(kind, details, "value", lines):
        return None
    writer.lines += ["def complete(value):", *(f"    {line}" for line in lines), "    return value"]
    complete: Complete = writer.compile()["complete"]
    return complete

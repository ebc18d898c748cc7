"""Owns what is made of a selection: compiled code for what is plain, and what else there is to resolve."""

from dataclasses import dataclass
from functools import partial

from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

from graph.execution.completion import Collect, Complete, Others, OutputWriter
from graph.execution.rows import RowsReader


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What was made of the fields that are selected of one type."""

    build: Complete
    """Makes the struct of an object. May raise anything."""
    others: Others
    """What has to be put into the struct then."""


def selection_of(
    schema: GraphQLSchema, parent: GraphQLObjectType, grouped: GroupedFieldSet, collect: Collect
) -> Selection:
    """What can be made of these fields of `parent`."""
    writer = OutputWriter(schema, collect, partial(RowsReader, schema, collect))
    name, others = writer.object_with_others(parent, grouped)
    return Selection(writer.functions()[name], others)


def completion_of(
    schema: GraphQLSchema, kind: GraphQLOutputType, details: FieldDetailsList, collect: Collect
) -> Complete | None:
    """What makes of a value of this type what is encoded; None where something in it has to be resolved."""
    writer = OutputWriter(schema, collect, partial(RowsReader, schema, collect))
    lines: list[str] = []
    if not writer.value(kind, details, "value", lines):
        return None
    writer.lines += ["def complete(value):", *(f"    {line}" for line in lines), "    return value"]
    complete: Complete = writer.functions()["complete"]
    return complete


def attributes_of(
    schema: GraphQLSchema, kind: GraphQLOutputType, details: FieldDetailsList, collect: Collect, name: str
) -> frozenset[str] | None:
    """Which attributes of the objects of type `name` are read that a value of this type holds; None where
    that is not known, since a resolver does not say what it reads."""
    found: set[str] = set()

    def walk(kind: GraphQLOutputType, details: FieldDetailsList) -> bool:
        parent = get_named_type(kind)
        if not isinstance(parent, GraphQLObjectType):
            return not is_composite_type(parent)
        for inner in collect(parent, details).values():
            field_name = inner[0].node.name.value
            field = schema.get_field(parent, field_name)
            if field_name == "__typename":
                continue
            definition = None if field is None else field.extensions.get("strawberry-definition")
            if field is None or not isinstance(definition, StrawberryField):
                return False
            if parent.name == name:
                if definition.base_resolver is None:
                    found.add(definition.python_name)
                elif (reads := definition.metadata.get("reads")) is not None:
                    found.update(reads)
                else:
                    return False
            elif definition.base_resolver is None or definition.metadata.get("pure"):
                if not walk(field.type, inner):
                    return False
        return True

    return frozenset(found) if walk(kind, details) else None

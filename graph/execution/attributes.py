"""Determines what a selection reads: the attributes of an object, of which only the columns are read, and
metadata of the fields."""

import ast
from collections.abc import Collection
from functools import cache
from inspect import getsource, signature
from textwrap import dedent
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from graph.execution.completion import Collect
from graph.strawberry_internals import core_schema, field_definition, field_metadata, resolve_info_of


def selected_attributes(
    schema: GraphQLSchema, kind: GraphQLOutputType, details: FieldDetailsList, collect: Collect, name: str
) -> frozenset[str] | None:
    """The attributes that a selection below a value of this type reads of objects of type `name`; None if it
    may read all of them."""
    attributes: set[str] = set()

    def walk(kind: GraphQLOutputType, details: FieldDetailsList) -> bool:
        parent = get_named_type(kind)
        if not isinstance(parent, GraphQLObjectType):
            return not is_composite_type(parent)
        for inner in collect(parent, details).values():
            field_name = inner[0].node.name.value
            if field_name == "__typename":
                continue
            field = schema.get_field(parent, field_name)
            definition = field_definition(field)
            if field is None or definition is None:
                return False
            if parent.name == name:
                read = attributes_read(definition)
                if read is None:
                    return False
                attributes.update(read)
            elif definition.base_resolver is None or definition.metadata.get("pure"):
                if not walk(field.type, inner):
                    return False
        return True

    return frozenset(attributes) if walk(kind, details) else None


def selected_metadata(info: Info[Any, Any], key: str) -> set[Any]:
    """The values of `key` in the metadata of all fields that are selected below the resolver's own."""
    resolve_info = resolve_info_of(info)
    schema, fragments = resolve_info.schema, resolve_info.fragments
    values: set[Any] = set()

    def walk(parent: Any, selections: SelectionSetNode | None) -> None:
        node: Any
        for node in selections.selections if selections is not None else ():
            if isinstance(node, FieldNode):
                field = schema.get_field(parent, node.name.value)
                values.add(field_metadata(field).get(key))
                walk(get_named_type(field.type), node.selection_set)
                continue
            if isinstance(node, FragmentSpreadNode):
                node = fragments[node.name.value]
            condition = node.type_condition
            walk(schema.get_type(condition.name.value) if condition else parent, node.selection_set)

    for node in resolve_info.field_nodes:
        walk(get_named_type(resolve_info.return_type), node.selection_set)
    return values - {None}


def attributes_read(definition: StrawberryField, parent: type | None = None) -> frozenset[str] | None:
    """The attributes that a field reads of its parent, of this class if set; None if they are unknown, since
    its resolver passes the parent on."""
    if definition.base_resolver is None:
        return frozenset({definition.python_name})
    functions = definition.metadata.get("from_columns")
    if functions is not None:
        chosen = functions.values() if parent is None else [functions[parent]]
        return frozenset(name for each in chosen for name in signature(each).parameters)
    resolver = definition.base_resolver
    parameters = resolver.self_parameter, resolver.root_parameter, resolver.parent_parameter
    names = frozenset(each.name for each in parameters if each is not None)
    return attributes_in(resolver.wrapped_func, names)


@cache
def attributes_in(function: Any, parameters: frozenset[str]) -> frozenset[str] | None:
    """The attributes that a function reads of these parameters; None if it uses them in any other way."""
    try:
        tree = ast.parse(dedent(getsource(function)))
    except (OSError, SyntaxError):  # no source, or a lambda
        return None
    uses, attributes = 0, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            uses += node.id in parameters
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in parameters:
                attributes.append(node.attr)
    return frozenset(attributes) if len(attributes) == uses else None


def check_attributes(schema: Any, name: str, parent: type, known: Collection[str]) -> None:
    """Raise TypeError if a field of the object type `name` reads an attribute of its parent that is not
    `known`, or may read any: only what the selected fields read is there."""
    kind: Any = core_schema(schema).type_map[name]
    for field_name, field in kind.fields.items():
        definition = field_definition(field)
        read = None if definition is None else attributes_read(definition, parent)
        if read is None:
            raise TypeError(
                f"{name}.{field_name}: its resolver passes its parent on, so the columns that it needs are "
                "unknown; read the attributes in the resolver itself, or add `from_columns` to its metadata"
            )
        for attribute in sorted(read - set(known)):
            raise TypeError(
                f"{name}.{field_name} reads `{attribute}`, which is no column of {parent.__name__}: add the "
                "column, or the columns that it is computed from to SOURCE_FIELDS"
            )

"""The read API fits schema.graphql: its operations, the fields of its classes, its enums and its filters."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import GenericAlias, ModuleType
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints

import pytest
import rungraph
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
)
from rungraph.reading import documents, enums, filters, types, values
from rungraph.reading.client import Client
from rungraph.reading.decoding import camel_case, decode, parse_time

from tests import ROOT

TEXT = (ROOT / "schema.graphql").read_text()
DOCUMENTS = {name: value for name, value in vars(documents).items() if name.isupper() and name[0] != "_"}
PARSED = {name: parse(text) for name, text in DOCUMENTS.items()}
SCALARS = {
    **dict.fromkeys(["String", "ID"], str),
    **dict.fromkeys(["Int", "BigInt"], int),
    "Float": float,
    "Boolean": bool,
    "DateTime": datetime,
}
LOCAL = {"Change", "RunIdentifier"}
"""Classes that no operation selects."""
PAYLOADS = {"abortRun": types.AbortRunPayload, "abortAction": types.AbortActionPayload}


def classes_of(*modules: ModuleType) -> dict[str, Any]:
    return {
        name: each
        for module in modules
        for name, each in vars(module).items()
        if inspect.isclass(each) and each.__module__ == module.__name__
    }


CLASSES = {name: each for name, each in classes_of(types, values).items() if is_dataclass(each)}
ENUMS = {name: each for name, each in classes_of(enums).items() if name != "OpenEnum"}


def fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
    return {node.name.value: node for node in found}


class Comparison:
    """Compares what is selected with the classes that it fills."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.compared: set[str] = set()

    def all_differences(self) -> Iterator[str]:
        for document in PARSED.values():
            for name, fragment in fragments(document).items():
                yield from self.object(fragment.selection_set, self.schema.get_type(name), CLASSES[name])
            for node in document.definitions:
                if isinstance(node, OperationDefinitionNode):
                    yield from self.payload(node.selection_set)

    def payload(self, selection: SelectionSetNode) -> Iterator[str]:
        for node in selection.selections:
            if isinstance(node, FieldNode) and node.name.value in PAYLOADS and node.selection_set:
                cls = PAYLOADS[node.name.value]
                yield from self.object(node.selection_set, self.schema.get_type(cls.__name__), cls)

    def object(self, selection: SelectionSetNode, kind: Any, cls: Any) -> Iterator[str]:
        self.compared.add(cls.__name__)
        nodes = {node.name.value: node for node in selection.selections if isinstance(node, FieldNode)}
        hints = {camel_case(field.name): get_type_hints(cls)[field.name] for field in fields(cls)}
        if nodes.keys() != hints.keys():
            yield f"{cls.__name__}: {sorted(nodes.keys() ^ hints.keys())} are not in both"
        for name in nodes.keys() & hints.keys():
            if kind is None or name not in kind.fields:
                yield f"{cls.__name__}.{name} is not in the schema"
                continue
            place = f"{cls.__name__}.{name}"
            yield from self.field(place, nodes[name].selection_set, kind.fields[name].type, hints[name])

    def field(self, place: str, selection: SelectionSetNode | None, kind: Any, hint: Any) -> Iterator[str]:
        is_required = isinstance(kind, GraphQLNonNull)
        kind = kind.of_type if is_required else kind
        if str(kind) == "JSON":
            if hint is not Any:
                yield f"{place} is any JSON value, or null"
            return
        is_optional = get_origin(hint) is Union
        if is_optional is is_required:
            yield f"{place} is {'never' if is_required else 'sometimes'} null"
        if is_optional:
            (hint,) = (each for each in get_args(hint) if each is not type(None))
        if isinstance(kind, GraphQLList):
            if get_origin(hint) is not tuple or get_args(hint)[1] is not ...:
                yield f"{place} is a list"
            else:
                yield from self.field(f"{place}[]", selection, kind.of_type, get_args(hint)[0])
        elif isinstance(kind, GraphQLEnumType):
            if hint is not ENUMS.get(kind.name):
                yield f"{place} is {kind.name}"
        elif selection is None:
            if hint is not SCALARS[str(kind)]:
                yield f"{place} is {kind}"
        elif isinstance(spread := selection.selections[0], FragmentSpreadNode):
            if hint is not CLASSES[spread.name.value] or len(selection.selections) != 1:
                yield f"{place} is {spread.name.value}"
        else:
            yield from self.object(selection, kind, hint)


def enum_differences(schema: GraphQLSchema) -> Iterator[str]:
    for name, cls in ENUMS.items():
        kind = schema.get_type(name)
        if not isinstance(kind, GraphQLEnumType) or {each.value for each in cls} != kind.values.keys():
            yield f"{name} has other values"


def filter_differences(schema: GraphQLSchema) -> Iterator[str]:
    for name in ("RunFilter", "ActionFilter"):
        kind = schema.get_type(name)
        assert isinstance(kind, GraphQLInputObjectType)
        hints = {camel_case(key): hint for key, hint in get_type_hints(vars(filters)[name]).items()}
        if hints.keys() != kind.fields.keys():
            yield f"{name}: {sorted(hints.keys() ^ kind.fields.keys())} are not in both"
        for key in hints.keys() & kind.fields.keys():
            if hints[key] != argument_hint(kind.fields[key].type) | None:
                yield f"{name}.{key} is {kind.fields[key].type}"


def argument_hint(kind: Any) -> Any:
    if not isinstance(kind, GraphQLList):
        return SCALARS[str(kind)]
    item = kind.of_type.of_type
    if item.name == "LabelFilter":
        return Mapping[str, str | None]
    if item.name == "RunIdentifierInput":
        return Iterable[values.RunIdentifier]
    return GenericAlias(Iterable, ENUMS[item.name])


def differences(text: str) -> list[str]:
    schema = build_schema(text)
    return [*Comparison(schema).all_differences(), *enum_differences(schema), *filter_differences(schema)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_its_operations_are_valid(name: str) -> None:
    assert validate(build_schema(TEXT), PARSED[name]) == []


def test_its_classes_enums_and_filters_are_those_of_the_schema() -> None:
    assert differences(TEXT) == []
    comparison = Comparison(build_schema(TEXT))
    assert not list(comparison.all_differences())
    assert comparison.compared | LOCAL == CLASSES.keys()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  durationMs: BigInt\n", "  durationMs: BigInt!\n"),
        ("  durationMs: BigInt\n", "  durationMs: Float\n"),
        ("  labels: [Label!]!\n", "  labels: [Label!]\n"),
        ("  dependencies: [String!]!\n", "  dependencies: String!\n"),
        ("  isLost: Boolean!\n", "  wasLost: Boolean!\n"),
        ("  cacheStatus: CacheStatus!\n", "  cacheStatus: ErrorKind!\n"),
        ("  SKIPPED\n}", "  SKIPPED\n  NEW\n}"),
        ("  hasTask: Boolean = null\n", "  hasTask: String = null\n"),
        ("  hasTask: Boolean = null\n", "  hasTask: Boolean = null\n  new: Int = null\n"),
    ],
)
def test_a_schema_that_differs_is_noticed(old: str, new: str) -> None:
    assert old in TEXT
    assert differences(TEXT.replace(old, new))


def test_both_clients_have_the_same_methods() -> None:
    def methods(cls: type) -> dict[str, Any]:
        public = {name: each for name, each in vars(cls).items() if name[0] != "_" and callable(each)}
        signatures = {name: inspect.signature(each) for name, each in public.items()}
        return {name: [str(each) for each in found.parameters.values()] for name, found in signatures.items()}

    assert methods(Client) == methods(rungraph.AsyncClient)
    assert {"runs", "run", "actions", "events", "logs", "watch", "wait", "abort"} <= methods(Client).keys()


def test_every_public_name_is_loaded_when_it_is_used() -> None:
    for name in rungraph.__all__:
        assert getattr(rungraph, name).__name__ == name
    assert {*CLASSES, *ENUMS} <= {*rungraph.__all__}
    with pytest.raises(AttributeError):
        _ = rungraph.unknown  # type: ignore[attr-defined]


def test_unknown_values_of_enums_are_kept() -> None:
    count = decode(values.PhaseCount, {"phase": "NEW_PHASE", "count": 3})
    assert isinstance(count.phase, enums.ActionPhase)
    assert count.phase == "NEW_PHASE" == f"{count.phase}" == str(count.phase)
    assert count.phase == enums.ActionPhase("NEW_PHASE")
    assert len({count.phase, enums.ActionPhase("NEW_PHASE")}) == 1
    assert enums.ActionPhase.FAILED == "FAILED"
    assert not count.phase.is_success
    assert issubclass(enums.ActionPhase, Enum)


@pytest.mark.parametrize("fraction", ["", ".5", ".123456"])
def test_times_have_a_zone(fraction: str) -> None:
    text = f"2026-11-30T10:20:30{fraction}Z"
    assert parse_time(text) == datetime.fromisoformat(text)
    assert parse_time(text).tzinfo is not None


def test_filters_are_checked() -> None:
    class Kind(TypedDict, total=False):
        start_date: datetime

    with pytest.raises(TypeError, match="there is no filter 'phase'"):
        filters.variable({"phase": "FAILED"}, filters.RunFilter)
    with pytest.raises(ValueError, match="time zone"):
        filters.variable({"start_date": datetime(2026, 11, 30)}, Kind)  # noqa: DTZ001

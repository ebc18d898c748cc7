"""Random operations: valid documents over a schema, with partly invalid arguments."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

_DEPTH = 5
_FIELDS = 45


@dataclass(frozen=True)
class Operation:
    """An operation as sent by a client."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None


@dataclass(frozen=True)
class EnumValue:
    """An enum value, which documents write without quotes."""

    name: str


class Operations:
    """Generates operations, the same for the same seed. `texts` has the values of arguments and input fields
    of type String or ID by name; those under `""` serve all other names."""

    def __init__(self, schema: GraphQLSchema, texts: dict[str, list[str]], seed: int) -> None:
        self._schema = schema
        self._texts = texts
        self._random = random.Random(seed)
        kinds: dict[str, set[str]] = {}
        for each in schema.type_map.values():
            if isinstance(each, GraphQLObjectType) and each.interfaces:
                for name, field in each.fields.items():
                    kinds.setdefault(name, set()).add(str(field.type))
        # Fields of one name under an interface need aliases.
        self._different = {name for name, found in kinds.items() if len(found) > 1}

    def make(self) -> Operation:
        """The next operation."""
        self._count, self._left = 0, _FIELDS
        self._variables: dict[str, tuple[str, Any, bool]] = {}
        self._fragments: list[tuple[str, str, str]] = []
        self._used: set[str] = set()
        query = self._schema.query_type
        assert query is not None
        selections = self._selections(query, 0)
        heads = []
        for name, (kind, value, has_default) in self._variables.items():
            default = f" = {_literal(value)}" if has_default else ""
            heads.append(f"${name}: {kind}{default}")
        head = f"({', '.join(heads)})" if heads else ""
        called = self._random.choice([None, "Q"])
        text = f"query {called or ''}{head} {selections}" if called or head else selections
        used = [each for each in self._fragments if each[0] in self._used]
        text += "".join(f"\nfragment {each} on {kind} {inner}" for each, kind, inner in used)
        if called and self._random.random() < 0.2:
            text += "\nquery Other { projects { name } }"
        values = {
            key: _plain(value)
            for key, (_, value, has_default) in self._variables.items()
            if not has_default or self._random.random() < 0.5
        }
        return Operation(text, values, called)

    def _selections(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        chance, parts = self._random.random, []
        fields = list(kind.fields.items())
        leaves = [each for each in fields if not hasattr(get_named_type(each[1].type), "fields")]
        inner = [each for each in fields if hasattr(get_named_type(each[1].type), "fields")]
        chosen = self._random.sample(leaves, self._random.randint(1, len(leaves))) if leaves else []
        if depth < _DEPTH and inner and (self._left > 0 or not chosen):
            chosen += self._random.sample(inner, min(len(inner), self._random.randint(1, 3)))
        self._random.shuffle(chosen)
        if not chosen or chance() < 0.15:
            parts.append("__typename")
        for name, field in chosen:
            self._left -= 1
            text = self._field(name, field, depth)
            wrap = chance()
            if wrap < 0.1:
                text = f"... on {kind.name}{self._condition()} {{ {text} }}"
            elif wrap < 0.15:
                text = f"...{self._condition()} {{ {text} }}"
            elif wrap < 0.25:
                self._count += 1
                fragment = f"F{self._count}"
                self._fragments.append((fragment, kind.name, f"{{ {text} }}"))
                self._used.add(fragment)
                text = " ".join([f"...{fragment}{self._condition()}"] * self._random.randint(1, 2))
            parts.append(text)
        if isinstance(kind, GraphQLInterfaceType):
            for possible in self._schema.get_possible_types(kind):
                parts.append(f"... on {possible.name} {self._selections(possible, depth + 1)}")
        return f"{{ {' '.join(parts)} }}"

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        arguments = [
            f"{key}: {self._argument(key, argument)}"
            for key, argument in field.args.items()
            if is_required_argument(argument) or self._random.random() < 0.3
        ]
        arguments_text = f"({', '.join(arguments)})" if arguments else ""
        alias = ""
        if arguments_text or name in self._different or self._random.random() < 0.1:
            # An alias, since two fields of one name must have the same arguments.
            self._count += 1
            alias = f"a{self._count}: "
        kind: Any = get_named_type(field.type)
        inner = f" {self._selections(kind, depth + 1)}" if hasattr(kind, "fields") else ""
        return f"{alias}{name}{arguments_text}{self._condition()}{inner}"

    def _condition(self) -> str:
        if self._random.random() > 0.08:
            return ""
        condition = self._random.choice([True, False])
        text = "true" if condition else "false"
        if self._random.random() < 0.6:
            text = f"${self._variable('Boolean!', condition)}"
        return f" @{self._random.choice(['skip', 'include'])}(if: {text})"

    def _argument(self, name: str, argument: GraphQLArgument) -> str:
        value = self._value(argument.type, name)
        if self._random.random() < 0.35:
            return f"${self._variable(str(argument.type), value)}"
        return _literal(value)

    def _variable(self, kind: str, value: Any) -> str:
        self._count += 1
        name = f"v{self._count}"
        self._variables[name] = kind, value, self._random.random() < 0.3
        return name

    def _value(self, kind: GraphQLInputType, name: str) -> Any:
        if not is_non_null_type(kind) and self._random.random() < 0.05:
            return None
        return self._required(kind, name)

    def _some(self, kind: Any, name: str) -> Any:
        if is_list_type(kind):
            # Other paths may be refused, and which of several errors comes first depends on timing.
            length = 1 if name == "path" else self._random.randint(0, 3)
            values = [self._required(kind.of_type, name) for _ in range(length)]
            # A single value is coerced to a list.
            return values[0] if len(values) == 1 and self._random.random() < 0.5 else values
        if isinstance(kind, GraphQLEnumType):
            return EnumValue(self._random.choice(list(kind.values)))
        if isinstance(kind, GraphQLInputObjectType):
            return {
                key: self._required(field.type, key)
                for key, field in kind.fields.items()
                if is_required_input_field(field) or self._random.random() < 0.12
            }
        makers: dict[str, Callable[[], Any]] = {
            "Int": lambda: self._random.choice([1, 2, 2, 3, 4, 0, -1, 5000]),
            "BigInt": lambda: self._random.choice([0, 1, 2**40]),
            "Boolean": lambda: self._random.random() < 0.5,
            "DateTime": lambda: self._random.choice(["2020-01-01T00:00:00Z", "2030-01-01T00:00:00+02:00"]),
        }
        if name == "maxLength":
            return self._random.choice([1, 5, 5000])
        make = makers.get(kind.name)
        return make() if make else self._random.choice(self._texts.get(name) or self._texts[""])

    def _required(self, kind: GraphQLInputType, name: str) -> Any:
        inner: Any = kind.of_type if is_non_null_type(kind) else kind
        return self._some(inner, name)


def _literal(value: Any) -> str:
    if isinstance(value, EnumValue):
        return value.name
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)


def _plain(value: Any) -> Any:
    if isinstance(value, EnumValue):
        return value.name
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value

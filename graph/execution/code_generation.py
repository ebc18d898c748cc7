"""Assembles generated functions from lines of source.

The source contains names of the schema and nothing that a client sent.
"""

from typing import Any

from graphql import GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLString

_INT32 = 2**31
UNEXPECTED_IF: dict[object, str] = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLBoolean: "type({0}) is not bool",
    GraphQLInt: f"type({{0}}) is not int or not -{_INT32} <= {{0}} < {_INT32}",
    GraphQLFloat: "type({0}) is not float or not -INFINITY < {0} < INFINITY",
}
"""The condition, by scalar, under which generated code leaves a value to graphql-core."""


class UnexpectedValue(Exception):
    """Generated code does not handle this value; graphql-core has to."""


class CodeWriter:
    """Collects the source of functions and the objects that it refers to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._namespace: dict[str, Any] = {"INFINITY": float("inf"), "UnexpectedValue": UnexpectedValue}
        self._count = 0

    def compile(self) -> dict[str, Any]:
        """The functions by name."""
        exec(compile("\n".join(self.lines), "<generated>", "exec"), self._namespace)
        return self._namespace

    def constant(self, prefix: str, value: object) -> str:
        """A new name that refers to this object."""
        name = self.unique_name(prefix)
        self._namespace[name] = value
        return name

    def unique_name(self, prefix: str) -> str:
        """A name that is not used yet."""
        self._count += 1
        return f"{prefix}_{self._count}"

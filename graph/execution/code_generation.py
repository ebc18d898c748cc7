"""Owns what all code that is made here has in common: how it is written, and how it says that it gives up.

It holds names of the schema and nothing of what a client wrote.
"""

from typing import Any

from graphql import GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLString

_INT32 = 2**31
UNEXPECTED: dict[object, str] = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLBoolean: "type({0}) is not bool",
    GraphQLInt: f"type({{0}}) is not int or not -{_INT32} <= {{0}} < {_INT32}",
    GraphQLFloat: "type({0}) is not float or not -INFINITY < {0} < INFINITY",
}
"""When a value of a scalar is a surprise."""


class Surprise(Exception):
    """A value is not what compiled code expects."""


class Writer:
    """Writes functions."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._known: dict[str, Any] = {"INFINITY": float("inf"), "Surprise": Surprise}
        self._count = 0

    def functions(self) -> dict[str, Any]:
        """What was written, ready to be called."""
        exec(compile("\n".join(self.lines), "<made>", "exec"), self._known)
        return self._known

    def keep(self, kind: str, value: object) -> str:
        """The name by which the code knows this value."""
        name = self.name(kind)
        self._known[name] = value
        return name

    def name(self, kind: str) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{kind}_{self._count}"

"""Executes operations: compiled where possible, by graphql-core otherwise, with the same results."""

from graph.execution.attributes import check_attributes
from graph.execution.completion import PURE, from_columns
from graph.execution.engine import Answer, Engine
from graph.execution.operations import Operation
from graph.execution.resolver_calls import selected

__all__ = ["PURE", "Answer", "Engine", "Operation", "check_attributes", "from_columns", "selected"]

"""Executes operations: compiled where possible, by graphql-core otherwise, with the same results."""

from graph.execution.attributes import check_attributes, selected_metadata
from graph.execution.completion import PURE, from_columns
from graph.execution.engine import Engine
from graph.execution.operations import CURSOR, Operation, OperationRequest
from graph.execution.resolver_calls import selected
from graph.execution.results import Answer, encode, formatted

__all__ = [
    "CURSOR",
    "PURE",
    "Answer",
    "Engine",
    "Operation",
    "OperationRequest",
    "check_attributes",
    "encode",
    "formatted",
    "from_columns",
    "selected",
    "selected_metadata",
]

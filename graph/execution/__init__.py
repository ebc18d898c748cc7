"""Executes operations: compiled where it can be, by graphql-core's own rules everywhere else."""

from graph.execution.completion import PURE, by_fields, reads
from graph.execution.engine import Answer, Engine
from graph.execution.operations import Operation
from graph.execution.resolver_calls import selected

__all__ = ["PURE", "Answer", "Engine", "Operation", "by_fields", "reads", "selected"]

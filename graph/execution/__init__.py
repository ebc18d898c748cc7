"""Executes operations: compiled where it can be, by graphql-core's own rules everywhere else."""

from graph.execution.completion import PURE
from graph.execution.engine import Answer, Engine

__all__ = ["PURE", "Answer", "Engine"]

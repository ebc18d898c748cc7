"""Executes operations: compiled where possible, by graphql-core otherwise, with the same results."""

from graph.execution.attributes import check_attributes as check_attributes
from graph.execution.attributes import selected_metadata as selected_metadata
from graph.execution.completion import PURE as PURE
from graph.execution.completion import from_columns as from_columns
from graph.execution.engine import Engine as Engine
from graph.execution.operations import CURSOR as CURSOR
from graph.execution.operations import Operation as Operation
from graph.execution.operations import OperationRequest as OperationRequest
from graph.execution.resolver_calls import selected as selected
from graph.execution.results import Answer as Answer
from graph.execution.results import encode as encode
from graph.execution.results import formatted as formatted

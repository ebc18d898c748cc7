"""Builds the schema from its types, with validation rules and extensions."""

from copy import copy
from dataclasses import fields
from functools import cache
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

import repo
from graph.errors import ClientErrors
from graph.execution import check_attributes
from graph.limits.cost import check_items
from graph.limits.documents import InvalidDocuments, Limits, OperationLimits
from graph.schema.mutation import Mutation
from graph.schema.query import Query
from graph.schema.subscription import Subscription
from graph.schema.types.records import Action, ActionEvent, Run
from graph.schema.types.scalars import scalars
from graph.schema.types.values import RunIdentifier
from graph.strawberry_internals import core_schema


class Schema(strawberry.Schema):
    """Strawberry's schema without its error log: ClientErrors logs unexpected errors."""

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Does nothing: mistakes of clients are not logged."""


def build_schema(limits: Limits) -> Schema:
    """The schema, with limits on what it executes."""
    refused = InvalidDocuments()
    schema = copy(_types())
    schema.extensions = (ClientErrors, lambda: OperationLimits(limits, refused))
    return schema


@cache
def _types() -> Schema:
    """The schema without extensions, the same for all limits: building it takes most of the time that
    creating an application does."""
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Run, Action, ActionEvent, RunIdentifier],
        config=StrawberryConfig(scalar_map=scalars),
    )
    for name, entity in (("Run", repo.Run), ("Action", repo.Action)):
        columns = {field.name for field in fields(entity)}
        check_attributes(schema, name, entity, columns | repo.SOURCE_FIELDS.keys())
    check_items(core_schema(schema))
    return schema

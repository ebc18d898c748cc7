"""The types of GraphQL objects and values. Importing one makes the enums of the repository GraphQL enums."""

from graph.schema.types import enums as enums

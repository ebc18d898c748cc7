"""Declares fields of GraphQL types that are attributes of a Python object, or that are set by a client."""

from typing import Any

import strawberry


def described(description: str, **options: Any) -> Any:
    """A field with its description, and further options of `strawberry.field`."""
    return strawberry.field(description=description, **options)


def optional(description: str, **options: Any) -> Any:
    """A field of an input that may be omitted, with further options of `strawberry.field`."""
    return strawberry.field(default=None, description=description, **options)

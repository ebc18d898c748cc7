"""U+0000 in variables: PostgreSQL cannot store it, and what executors pass on may have it."""

from collections.abc import Mapping
from typing import Any

from graphql import get_nullable_type, is_input_object_type, is_list_type

from graph.strawberry_internals import field_metadata

TEXT = {"is_text": True}
"""`metadata` of an input field with text or JSON in which U+0000 becomes U+FFFD: a report must not be lost
for it. In names it is refused, since two different ones must not become the same."""


def replace_in_texts(kind: Any, value: Any) -> None:
    """Replace it in the texts of a variable of this type, before it is coerced."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        for each in value if isinstance(value, list) else [value]:
            replace_in_texts(kind.of_type, each)
    elif is_input_object_type(kind) and isinstance(value, dict):
        fields: Mapping[str, Any] = kind.fields
        for name in value.keys() & fields.keys():
            if field_metadata(fields[name]).get("is_text"):
                value[name] = _replaced(value[name])
            else:
                replace_in_texts(fields[name].type, value[name])


def _replaced(value: Any) -> Any:
    """The value with U+FFFD in all texts, but not in the names of a JSON object."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_replaced(each) for each in value]
    if isinstance(value, dict):
        return {name: _replaced(each) for name, each in value.items()}
    return value

"""Names the item of a list that an error is about, in the message and in the extensions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import msgspec
from strawberry.utils.str_converters import to_camel_case

import repo
from repo.domain.slices import in_slices

T = TypeVar("T")
R = TypeVar("R")

ValuePath = tuple[str | int, ...]
"""The path of a value: an argument or a variable, then indexes and names."""


def path_text(path: ValuePath) -> str:
    """A path for messages, such as `events[3].error.message`."""
    steps = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return "".join(steps).removeprefix(".")


def path_extensions(path: ValuePath) -> dict[str, Any]:
    """A path for programs: the `path`, and the `index` of the item in its list."""
    index = next((each for each in path if isinstance(each, int)), None)
    return {"path": list(path)} | ({} if index is None else {"index": index})


async def read_items(argument: str, items: Sequence[T], read: Callable[[T], R]) -> list[R]:
    """The result of `read` for each item. An error that it raises names the item."""
    results = []
    try:
        async for item in in_slices(items):
            results.append(read(item))
    except repo.RepoError as error:
        raise _with_path(error, (argument, len(results))) from None
    return results


@contextmanager
def name_items_in_errors(
    argument: str, items: Sequence[T], id_of: Callable[[T], repo.ActionIdentifier]
) -> Iterator[None]:
    """An error about one of the items names it."""
    try:
        yield
    except repo.RepoError as error:
        subject = error.about
        if subject is None:
            raise
        for index, item in enumerate(items):
            if item is subject or id_of(item) == subject:
                raise _with_path(error, (argument, index)) from error
        raise


def _with_path(error: repo.RepoError, path: ValuePath) -> repo.RepoError:
    located = type(error)(f"{path_text(path)}: {error}")
    located.place = path
    return located


def check_texts(value: object) -> None:
    """Raise InvalidArgument, with its place in the input, for text that cannot be stored."""
    try:
        if b"\\u0000" not in msgspec.json.encode(value):
            return
    except (TypeError, ValueError, OverflowError):  # such as an integer of many digits
        pass
    if (found := find_unstorable(value)) is not None:
        place = f"{path_text(found.path)}: " if found.path else ""
        raise repo.InvalidArgument(f"{place}text must not contain {found.reason}")


@dataclass(frozen=True, slots=True)
class Unstorable:
    """Text that cannot be stored: the reason, and its path in a value."""

    reason: str
    path: ValuePath = ()


def find_unstorable(value: object) -> Unstorable | None:
    """The first text in a JSON value or an input that cannot be stored; None if all of it can."""
    if isinstance(value, str):
        if "\0" in value:
            return Unstorable("the character U+0000")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return Unstorable("half of a surrogate pair")
        return None
    items: Iterable[tuple[str | int, object]]
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    elif is_dataclass(value):
        items = ((to_camel_case(each.name), getattr(value, each.name)) for each in fields(value))
    else:
        return None
    for step, item in items:
        # A name that cannot be stored is not repeated in the path.
        in_name = find_unstorable(step) if isinstance(step, str) else None
        if in_name is not None:
            return in_name
        if (found := find_unstorable(item)) is not None:
            return Unstorable(found.reason, (step, *found.path))
    return None

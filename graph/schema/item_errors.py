"""Which item of a list in a call an error is about: its place, in the message and in the extensions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import repo

T = TypeVar("T")
R = TypeVar("R")

Place = tuple[str | int, ...]
"""An argument or a variable, and what leads from there to a value: indexes and names."""


def text_of(place: Place) -> str:
    """A place as it stands in messages, such as `events[3].error.message`."""
    steps = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in place)
    return "".join(steps).removeprefix(".")


def extensions_of(place: Place) -> dict[str, Any]:
    """A place as programs read it: the `path`, and the `index` of the item in its list."""
    index = next((each for each in place if isinstance(each, int)), None)
    return {"path": list(place)} | ({} if index is None else {"index": index})


def read_items(argument: str, items: Sequence[T], read: Callable[[T], R]) -> list[R]:
    """What `read` makes of each item. What it raises names the item."""
    made = []
    try:
        for item in items:
            made.append(read(item))
    except repo.RepoError as error:
        raise _at(error, (argument, len(made))) from None
    return made


@contextmanager
def naming_items(
    argument: str, items: Sequence[T], id_of: Callable[[T], repo.ActionIdentifier]
) -> Iterator[None]:
    """What is raised about one of the items names it."""
    try:
        yield
    except repo.RepoError as error:
        about = error.about
        if about is None:
            raise
        for index, item in enumerate(items):
            if item is about or id_of(item) == about:
                raise _at(error, (argument, index)) from error
        raise


def _at(error: repo.RepoError, place: Place) -> repo.RepoError:
    named = type(error)(f"{text_of(place)}: {error}")
    named.place = place
    return named


@dataclass(frozen=True, slots=True)
class Unstorable:
    """Text that cannot be stored: what about it, and where it is in a value."""

    what: str
    place: Place = ()


def find_unstorable(value: object) -> Unstorable | None:
    """The first text in a JSON value that cannot be stored; None where all of it can."""
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
    else:
        return None
    for step, item in items:
        # A name that cannot be stored is not told either: it is where it stands.
        in_name = find_unstorable(step) if isinstance(step, str) else None
        if in_name is not None:
            return in_name
        if (found := find_unstorable(item)) is not None:
            return Unstorable(found.what, (step, *found.place))
    return None

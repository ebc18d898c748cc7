"""Owns how rows become objects: what a column holds, and objects that are made only when asked for."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

Decode = Callable[[Any], Any]


class Holds(Enum):
    """What the values of a column are sure to be, where they are there."""

    TEXT = "text"
    INTEGER = "integer"
    BIG_INTEGER = "big integer"
    BOOLEAN = "boolean"
    TIME = "time"
    DOCUMENT = "document"
    MEMBER = "member"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the rows as the driver gives them."""

    index: int
    holds: Holds
    is_there: bool
    """No row is without a value in it."""
    decode: Decode | None
    """Makes of the driver's value the one that is meant; None where they are the same."""
    members: Mapping[int, Any] | None = None
    """Of an enumeration, its members by their numbers."""

    def value(self, row: Sequence[Any]) -> Any:
        """What a row has in this column."""
        value = row[self.index]
        return value if value is None or self.decode is None else self.decode(value)


class Layout(Generic[T]):
    """Where the rows of a statement have what an object is made of."""

    def __init__(self, entity: type[T], names: Sequence[str], columns: Sequence[Column]) -> None:
        """`names` are fields of the entity; each stands in the column of the same place."""
        self.entity = entity
        self.fields = frozenset(field.name for field in fields(entity))  # type: ignore[arg-type]
        """What objects have, be it read here or not."""
        self.columns = dict(zip(names, columns, strict=False))
        self.build = self.builder(self.columns)
        """Makes an object of a row; fields that were not read are not there."""
        self.made: dict[Any, Any] = {}
        """What readers of these rows keep."""

    def builder(self, names: Collection[str]) -> Callable[[Sequence[Any]], T]:
        """A function that makes an object with these fields of a row."""
        known: dict[str, Any] = {"entity": self.entity, "new": self.entity.__new__}
        lines = ["def build(row):", "    made = new(entity)"]
        for name in names:
            column = self.columns[name]
            value = f"row[{column.index}]"
            if column.decode is not None:
                known[f"decode_{name}"] = column.decode
                value = f"None if (value := {value}) is None else decode_{name}(value)"
            lines.append(f"    made.{name} = {value}")
        exec("\n".join([*lines, "    return made"]), known)
        build: Callable[[Sequence[Any]], T] = known["build"]
        return build


class Rows(Sequence[T]):
    """Objects that stay rows until somebody asks for one of them."""

    __slots__ = ("_items", "_raw", "layout")

    def __init__(self, raw: Sequence[Sequence[Any]], layout: Layout[T]) -> None:
        self.layout = layout
        self._raw = raw
        self._items: list[T] | None = None

    @property
    def untouched(self) -> Sequence[Sequence[Any]] | None:
        """The rows; None once somebody has the objects, who may have changed them."""
        return self._raw if self._items is None else None

    @property
    def items(self) -> list[T]:
        """The objects."""
        if self._items is None:
            self._items = list(map(self.layout.build, self._raw))
        return self._items

    def part(self, start: int, end: int) -> "Sequence[T]":
        """Some of them, as rows where they still are."""
        return Rows(self._raw[start:end], self.layout) if self._items is None else self._items[start:end]

    def column(self, name: str) -> list[Any]:
        """What all of them have in one field."""
        if self._items is not None:
            return [getattr(item, name) for item in self._items]
        column = self.layout.columns[name]
        return [column.value(row) for row in self._raw]

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.items == list(other)

    __hash__ = None  # type: ignore[assignment]


class Parts(Sequence[tuple[Any, ...]]):
    """Some columns of rows, decoded when asked for."""

    __slots__ = ("_columns", "_raw")

    def __init__(self, raw: Sequence[Sequence[Any]], columns: Sequence[Column]) -> None:
        self._raw = raw
        self._columns = columns

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Any, ...]]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._part(row) for row in self._raw[index]]
        return self._part(self._raw[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def _part(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(column.value(row) for column in self._columns)


class Entity(Generic[T]):
    """A class whose objects are read from the columns of one table."""

    def __init__(
        self, kind: type[T], columns: Mapping[str, Any], made_of: Mapping[str, Sequence[str]]
    ) -> None:
        """`columns` are those of the fields by their names; `made_of` says of each property by which fields
        it is made."""
        self.kind = kind
        self.columns = columns
        self._made_of = made_of
        self._chosen: dict[frozenset[str] | None, tuple[str, ...]] = {None: tuple(self.columns)}

    def names(self, attributes: frozenset[str] | None) -> tuple[str, ...]:
        """The fields that these attributes are made of, in their order; all of them for None."""
        found = self._chosen.get(attributes)
        if found is None:
            assert attributes is not None
            wanted = {name for each in attributes for name in self._made_of.get(each, (each,))}
            found = tuple(name for name in self.columns if name in wanted)
            self._chosen[attributes] = found
        return found

    def select(self, names: Sequence[str]) -> list[Any]:
        """The columns of these fields."""
        return [self.columns[name] for name in names]

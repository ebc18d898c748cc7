"""Converts rows to objects lazily: column kinds, decoding, and entities."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from repo.domain.models import COMPOSITES, SOURCE_FIELDS

T = TypeVar("T")

Convert = Callable[[Any], Any]


class ColumnKind(Enum):
    """The kind of a column's values that are not null."""

    TEXT = "text"
    INTEGER = "integer"
    BIG_INTEGER = "big integer"
    FLOAT = "float"
    TIME = "time"
    DOCUMENT = "document"
    MEMBER = "member"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the rows as the driver returns them."""

    index: int
    kind: ColumnKind
    is_required: bool
    """Its values are never null."""
    decode: Convert | None
    """Converts a value of the driver; None if none is needed."""
    members: Mapping[int, Any] | None = None
    """The members of an enumeration by number."""
    decode_all: Callable[[list[Any]], Sequence[Any]] | None = None
    """Converts many values of the driver, null included, faster than one by one; may raise."""

    @property
    def cell(self) -> str:
        """The expression of its value in a `row`, not decoded, for generated code."""
        return f"row[{self.index}]"

    def value(self, row: Sequence[Any]) -> Any:
        """The decoded value of a row in this column."""
        value = row[self.index]
        return value if value is None or self.decode is None else self.decode(value)


class Layout(Generic[T]):
    """Which columns of a statement contain the fields of an object."""

    def __init__(self, entity: type[T], names: Sequence[str], columns: Sequence[Column]) -> None:
        """`names` are fields of the entity, in the order of the columns."""
        self.entity = entity
        self.fields = frozenset(field.name for field in fields(entity))  # type: ignore[arg-type]
        """All fields of the entity, also those not read here."""
        self.columns = dict(zip(names, columns, strict=False))
        self.build = self.builder(self.columns)
        """Converts a row to an object, which has only the fields that were read."""
        self.cache: dict[Any, Any] = {}
        """For readers of these rows, which compile code per layout."""

    def builder(self, names: Collection[str]) -> Callable[[Sequence[Any]], T]:
        """A function that converts a row to an object with these fields."""
        known: dict[str, Any] = {"entity": self.entity, "new": self.entity.__new__}
        lines = ["def build(row):", "    made = new(entity)"]
        for name in names:
            column = self.columns[name]
            value = column.cell
            if column.decode is not None:
                known[f"decode_{name}"] = column.decode
                value = f"None if (value := {value}) is None else decode_{name}(value)"
            lines.append(f"    made.{name} = {value}")
        exec("\n".join([*lines, "    return made"]), known)
        build: Callable[[Sequence[Any]], T] = known["build"]
        return build

    def builder_of(self, attributes: Collection[str]) -> Callable[[Sequence[Any]], T] | None:
        """A function that converts a row to an object with everything that these attributes are computed
        from; None if some of it was not read."""
        names = {name for each in attributes for name in SOURCE_FIELDS.get(each, (each,))} & self.fields
        return self.builder(sorted(names)) if names <= self.columns.keys() else None

    def composite(self, name: str) -> tuple[list[Column], dict[str, Column]] | None:
        """The columns of a composite attribute, such as `task`: those that have values if it is present, and
        all of them by its fields. None if it is not a composite, or was not read."""
        composite = COMPOSITES.get(name)
        if composite is None or not {*composite.needed, *composite.fields.values()} <= self.columns.keys():
            return None
        columns = {field: self.columns[each] for field, each in composite.fields.items()}
        return [self.columns[each] for each in composite.needed], columns


class Rows(Sequence[T]):
    """A list of objects that are built from rows on first access."""

    __slots__ = ("_items", "_raw", "layout")

    def __init__(self, raw: Sequence[Sequence[Any]], layout: Layout[T]) -> None:
        self.layout = layout
        self._raw = raw
        self._items: list[T] | None = None

    @property
    def raw(self) -> Sequence[Sequence[Any]] | None:
        """The rows; None once the objects were built, since a caller may have changed them."""
        return self._raw if self._items is None else None

    @property
    def items(self) -> list[T]:
        """The objects."""
        if self._items is None:
            self._items = list(map(self.layout.build, self._raw))
        return self._items

    def part(self, start: int, end: int) -> "Sequence[T]":
        """A slice, as rows if the objects were not built."""
        return Rows(self._raw[start:end], self.layout) if self._items is None else self._items[start:end]

    def column(self, name: str) -> list[Any]:
        """The values of one field."""
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


class ColumnView(Sequence[tuple[Any, ...]]):
    """Some columns of rows, decoded on access."""

    __slots__ = ("_columns", "_raw")

    def __init__(self, raw: Sequence[Sequence[Any]], columns: Sequence[Column]) -> None:
        self._raw = raw
        self._columns = columns

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, index: int) -> tuple[Any, ...]:  # type: ignore[override] # no slices
        row = self._raw[index]
        return tuple(column.value(row) for column in self._columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Entity:
    """The columns of one table that the fields of a class are read from."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        """`columns` maps fields to columns."""
        self.columns = columns
        self._chosen: dict[frozenset[str] | None, tuple[str, ...]] = {None: tuple(self.columns)}

    def names(self, attributes: frozenset[str] | None) -> tuple[str, ...]:
        """The fields that these attributes need, in order; None means all."""
        found = self._chosen.get(attributes)
        if found is None:
            assert attributes is not None
            needed = {name for each in attributes for name in SOURCE_FIELDS.get(each, (each,))}
            found = tuple(name for name in self.columns if name in needed)
            self._chosen[attributes] = found
        return found

    def select(self, names: Sequence[str]) -> list[Any]:
        """The columns of these fields."""
        return [self.columns[name] for name in names]

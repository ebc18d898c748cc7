"""What makes a call a retry of another one: the same arguments."""

from __future__ import annotations

from typing import Any


def identity(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, object]:
    """A key that is equal for the same arguments, and what has to be kept for as long as the key is used.
    Plain values are compared, all others have to be the same objects."""
    keeping: list[object] = []
    key = tuple(_identity(each, keeping) for each in args)
    if kwargs:
        key += tuple((name, _identity(value, keeping)) for name, value in sorted(kwargs.items()))
    return key, keeping


_PLAIN = {int, float, bool, type(None), complex}


def _identity(value: object, keeping: list[object]) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind in (str, bytes) and len(value) <= 1000:  # type: ignore[arg-type]
        return kind, value
    if kind is tuple and len(value) <= 20:  # type: ignore[arg-type]
        return tuple(_identity(each, keeping) for each in value)  # type: ignore[attr-defined]
    keeping.append(_Kept(value))
    return _Same(value)


class _Kept:
    """Keeps containers alive, so that no other object gets their address. Others are referenced weakly."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value if type(value) in (list, dict, set) else None


class _Same:
    """Equal to itself for the same object only, as long as that lives."""

    __slots__ = ("_id", "_reference")

    def __init__(self, value: object) -> None:
        import weakref

        self._id = id(value)
        try:
            self._reference: Any = weakref.ref(value)
        except TypeError:
            self._reference = None

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same) or self._id != other._id:
            return False
        return self._reference is None or self._reference() is not None

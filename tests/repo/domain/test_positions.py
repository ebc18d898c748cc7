"""Feed positions: which are valid after failovers and restores, and their cursors."""

import pytest

from repo.domain.cursors import FeedPosition, Incarnation, WatchCursor, is_valid, parse_watch_cursor

FIRST = Incarnation("first", None)


def position(incarnation: str, log_end: int) -> FeedPosition:
    return FeedPosition(10, frozenset({7}), incarnation, log_end)


@pytest.mark.parametrize(
    ("later", "valid"),
    [
        ([], True),
        ([100], True),
        ([99], False),
        ([None], False),
        ([100, 200], True),
        ([200, 99], False),
        ([99, 200], False),
        ([None, 200], False),
    ],
)
def test_a_position_is_valid_if_everything_since_is_complete_until_there(
    later: list[int | None], valid: bool
) -> None:
    history = [FIRST, *(Incarnation(f"later-{number}", end) for number, end in enumerate(later))]
    assert is_valid(position("first", 100), history) is valid
    assert is_valid(position(history[-1].id, 10**12), history)


@pytest.mark.parametrize(("next_transaction", "valid"), [(9, False), (10, True), (None, True)])
def test_a_position_beyond_the_last_transaction_is_not_valid(
    next_transaction: int | None, valid: bool
) -> None:
    history = [FIRST, Incarnation("later", 100, next_transaction)]
    assert is_valid(position("first", 100), history) is valid


def test_a_position_of_an_unknown_incarnation_is_not_valid() -> None:
    assert not is_valid(position("lost", 0), [FIRST, Incarnation("second", 100)])
    assert not is_valid(position("lost", 0), [])


def test_a_cursor_carries_the_incarnation_and_the_end_of_the_log() -> None:
    cursor = WatchCursor(position("first", 100), "page")
    read = parse_watch_cursor(str(cursor))
    assert read == cursor
    assert read is not None
    assert read.position.log_end == 100


def test_a_cursor_without_an_incarnation_is_invalid() -> None:
    assert parse_watch_cursor("WyJvbGQiLDEwLFs3XSxudWxsXQ") is None

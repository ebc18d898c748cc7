"""Times as the drivers exchange them: decoded exactly, one by one and all at once."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repo.sql.times import POSTGRES_TIMES, SQLITE_TIMES, TimeDecoder, to_microseconds

EPOCHS = {SQLITE_TIMES: datetime(1970, 1, 1, tzinfo=UTC), POSTGRES_TIMES: datetime(2000, 1, 1, tzinfo=UTC)}
decoders = pytest.mark.parametrize("times", EPOCHS)

anytime = st.datetimes(timezones=st.just(UTC))
near = st.integers(-8_520_336_000 * 10**6, 8_583_494_400 * 10**6).map(SQLITE_TIMES.one)


@decoders
@given(value=anytime)
@example(value=datetime(1, 1, 1, microsecond=1, tzinfo=UTC))
@example(value=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
@example(value=datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_a_time_is_decoded_exactly(times: TimeDecoder, value: datetime) -> None:
    assert times.one(to_microseconds(value, since=EPOCHS[times])) == value


@decoders
@given(values=st.lists(st.none() | near))
@example(values=[])
@example(values=[None])
def test_all_times_of_a_column_are_decoded_exactly(times: TimeDecoder, values: list[datetime | None]) -> None:
    numbers = [None if each is None else to_microseconds(each, since=EPOCHS[times]) for each in values]
    assert times.all(numbers) == values


@decoders
@given(value=anytime.filter(lambda value: abs(value.year - 1970) > 300))
def test_a_column_with_a_distant_time_is_left_to_be_decoded_one_by_one(
    times: TimeDecoder, value: datetime
) -> None:
    number = to_microseconds(value, since=EPOCHS[times])
    with pytest.raises(msgspec.ValidationError):
        times.all([None, 0, number])


@decoders
def test_every_fraction_of_a_second_is_exact_where_floats_are_coarsest(times: TimeDecoder) -> None:
    last = datetime(2242, 1, 1, tzinfo=UTC)
    values = [last - timedelta(microseconds=number) for number in range(20_000)]
    numbers = [to_microseconds(value, since=EPOCHS[times]) for value in values]
    assert times.all(numbers) == values
    assert [times.one(number) for number in numbers] == values

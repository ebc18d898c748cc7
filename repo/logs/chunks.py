"""Chunks: lines of a log as columns, compressed."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise

import msgspec

from repo.domain.logs import LogLevel

MAX_SIZE = 64 * 1024
"""Bytes of the lines in a chunk; a single line may have more."""
MAX_LINES = 4_096
"""Lines in a chunk."""
_COMPRESSION = 1
"""zlib's fastest: level 6 takes twice as long for a tenth less."""


class _Packed(msgspec.Struct, array_like=True):
    """A chunk as it is encoded. Numbers and times are differences, which compress to almost nothing."""

    streams: list[str]
    stream: list[int]
    numbers: list[int]
    times: list[int]
    levels: list[int]
    texts: list[str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)


@dataclass(slots=True)
class Chunk:
    """Lines in order of their numbers, column by column."""

    first: int
    """The first number that it covers; the first line's own, unless lines before it are missing."""
    numbers: list[int] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """Microseconds since 1970."""
    levels: list[int] = field(default_factory=list)
    """LogLevel, or 0 for none."""
    texts: list[str] = field(default_factory=list)
    size: int = 0
    """UTF-8 bytes of the texts, and one for each line."""

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.numbers[-1]

    @property
    def level_mask(self) -> int:
        """The levels that occur, as bits."""
        return sum(level_bit(level) for level in set(self.levels))

    def add(self, number: int, stream: str, time: int, level: int, text: str, size: int) -> None:
        """Add a line."""
        self.numbers.append(number)
        self.streams.append(stream)
        self.times.append(time)
        self.levels.append(level)
        self.texts.append(text)
        self.size += size

    def extend(self, later: "Chunk") -> None:
        """Add the lines of the chunk that follows."""
        self.numbers += later.numbers
        self.streams += later.streams
        self.times += later.times
        self.levels += later.levels
        self.texts += later.texts
        self.size += later.size

    def has_room_for(self, size: int, lines: int) -> bool:
        """Whether lines of so many bytes belong into the same chunk."""
        return not self.numbers or (
            self.size + size <= MAX_SIZE and self.last - self.first + 1 + lines <= MAX_LINES
        )


def level_bit(level: int) -> int:
    """The bit of a level in a mask."""
    return 1 << level // 10


def pack(chunk: Chunk) -> bytes:
    """The compressed chunk."""
    names = list(dict.fromkeys(chunk.streams))
    places = {name: place for place, name in enumerate(names)}
    packed = _Packed(
        names,
        [places[name] for name in chunk.streams],
        _differences(chunk.numbers, chunk.first),
        _differences(chunk.times, 0),
        chunk.levels,
        chunk.texts,
    )
    return zlib.compress(_encoder.encode(packed), _COMPRESSION)


def unpack(first: int, size: int, data: bytes) -> Chunk:
    """The chunk of a row."""
    packed = _decoder.decode(zlib.decompress(data))
    return Chunk(
        first,
        list(accumulate(packed.numbers, initial=first))[1:],
        [packed.streams[place] for place in packed.stream],
        list(accumulate(packed.times)),
        packed.levels,
        packed.texts,
        size,
    )


def gaps_in(chunk: Chunk) -> Iterator[tuple[int, int]]:
    """The first and last numbers of missing lines."""
    if chunk.last - chunk.first + 1 == len(chunk.numbers):
        return
    for before, number in pairwise([chunk.first - 1, *chunk.numbers]):
        if number > before + 1:
            yield before + 1, number - 1


@lru_cache(16)
def level_of(number: int) -> LogLevel | None:
    """The level of this number."""
    return LogLevel(number) if number else None


def _differences(numbers: list[int], before: int) -> list[int]:
    return [after - before for before, after in pairwise([before, *numbers])]

"""Finds lines in chunks: which numbers, which stream and levels, and which text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from repo.domain.logs import LogGap, LogGapReason, LogLine, LogQuery
from repo.logs.chunks import Chunk, gaps_in, level_of, unpack
from repo.sql.times import SQLITE_TIMES

ChunkRow = Sequence[Any]
"""First number, last number, size and data of a stored chunk."""

MAX_TEXT = 4 * 1024 * 1024
"""Characters of the lines of a page; it ends after the line that exceeds it."""


@dataclass(slots=True)
class Scan:
    """The lines found so far, and how far the chunks were searched: first numbers first, or last."""

    query: LogQuery
    after: int
    before: int
    """Both exclusive."""
    limit: int
    backward: bool = False
    lines: list[LogLine] = field(default_factory=list)
    """In the order of the scan."""
    gaps: list[LogGap] = field(default_factory=list)
    reached: int | None = None
    """The number of the last line that was searched; None before the first one."""
    text: int = 0

    @property
    def is_full(self) -> bool:
        """Whether no more lines fit."""
        return len(self.lines) >= self.limit or self.text >= MAX_TEXT

    def search(self, rows: Iterable[ChunkRow]) -> None:
        """Search these chunks, which are in the order of the scan."""
        for first, last, size, data in rows:
            if self.is_full:
                return
            chunk = unpack(first, size, data)
            self._search(chunk)
            if not self.is_full:
                self.reached = first if self.backward else last

    def _search(self, chunk: Chunk) -> None:
        for index in self._matching(chunk):
            number = chunk.numbers[index]
            text = chunk.texts[index]
            self.lines.append(
                LogLine(
                    number,
                    chunk.streams[index],
                    SQLITE_TIMES.one(chunk.times[index]),
                    level_of(chunk.levels[index]),
                    text,
                )
            )
            self.text += len(text)
            if self.is_full:
                self.reached = number
                break
        low, high = self.after, self.before
        if self.is_full and self.reached is not None:
            low, high = (self.reached, high) if self.backward else (low, self.reached)
        for first, last in gaps_in(chunk):
            if last > low and first < high:
                self.gaps.append(LogGap(first, last, LogGapReason.NOT_RECEIVED))

    def _matching(self, chunk: Chunk) -> Iterable[int]:
        """The places of lines that match, in the order of the scan."""
        numbers, after, before = chunk.numbers, self.after, self.before
        places: Sequence[int] = range(len(numbers))
        if numbers[0] <= after or numbers[-1] >= before:
            places = [place for place, number in enumerate(numbers) if after < number < before]
        matches = matcher(self.query)
        if matches is not None:
            streams, levels, texts = chunk.streams, chunk.levels, chunk.texts
            places = [each for each in places if matches(streams[each], levels[each], texts[each])]
        return reversed(places) if self.backward else places


def matcher(query: LogQuery) -> Callable[[str, int, str], bool] | None:
    """Whether a line with this stream, level and text matches; None if all do."""
    stream, levels = query.stream, query.levels
    needle = None if not query.search else query.search.casefold()
    if stream is None and levels is None and needle is None:
        return None

    def matches(of_stream: str, level: int, text: str) -> bool:
        return (
            (stream is None or of_stream == stream)
            and (levels is None or level in levels)
            and (needle is None or needle in text.casefold())
        )

    return matches

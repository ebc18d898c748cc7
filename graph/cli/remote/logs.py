"""`rungraph logs`: the lines of the log of an attempt, whole and in order; with `--follow` until it ends."""

import math
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session, json_line, until
from graph.cli.remote.details import read_action
from graph.cli.remote.names import RunReference, action_input, find_run, run_input
from graph.cli.remote.phases import has_ended as state_has_ended
from ingest.client import ApiError
from repo.domain.identifiers import RunIdentifier
from repo.domain.logs import LogLevel

_PAGE = 1000
_REASONS = {"QUOTA": "removed, since the log was longer than its quota", "NOT_RECEIVED": "never received"}
_ESCAPES = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
    r"|(?P<control>[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069])"
)
"""Terminal sequences: colours, others, and single control characters, also those of the direction of text."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is printed, and how."""

    attempt: int | None = None
    """By default the latest."""
    follow: bool = False
    stream: str | None = None
    levels: Sequence[str] | None = None
    search: str | None = None
    tail: int | None = None
    as_json: bool = False


def levels_from(text: str | None) -> list[str] | None:
    """The level of this name and the more severe ones. Raises ValueError."""
    if text is None:
        return None
    if text.upper() not in LogLevel.__members__:
        known = ", ".join(level.name.lower() for level in LogLevel)
        raise ValueError(f"there is no level {text!r}; the levels are {known}")
    return [level.name for level in LogLevel if level >= LogLevel[text.upper()]]


def plain_text(text: str) -> str:
    """The text without terminal sequences, for files and programs."""
    if "\x1b" not in text:
        return text
    return _ESCAPES.sub(lambda found: (found["control"] or "").replace("\x1b", ""), text)


def uncoloured_text(text: str) -> str:
    """The text for a terminal without colours: without anything that would control it."""
    return text if text.isprintable() else _ESCAPES.sub("", text)


def coloured_text(text: str) -> str:
    """The text with its colours, without anything else that would control the terminal."""
    if text.isprintable():
        return text
    shown = _ESCAPES.sub(lambda found: found["colour"] or "", text)
    return f"{shown}\x1b[0m" if "\x1b" in shown else shown


class _Log:
    """The log of an attempt, of which everything up to a number is printed."""

    def __init__(
        self, session: Session, run: RunIdentifier, name: str, attempt: int, options: LogOptions
    ) -> None:
        self._session, self._options = session, options
        self._variables: Json = {
            "action": action_input(run, name),
            "attempt": attempt,
            "stream": options.stream,
            "levels": options.levels,
            "search": options.search,
        }
        console = session.console
        self._clean = plain_text
        if console.is_terminal:
            self._clean = uncoloured_text if console.no_color else coloured_text
        self.printed_to = 0
        """Up to this number all lines are printed or known to be missing."""

    async def _page(self, **page: int | None) -> Json:
        found: Json = (await self._session.execute(documents.LOG_PAGE, **self._variables, **page))["logLines"]
        return found

    async def print_rest(self) -> None:
        """Prints all lines that are stored. Raises ApiError."""
        has_more = True
        while has_more:
            page = await self._page(after=self.printed_to, first=_PAGE)
            self._print(page["lines"], page["omitted"], page["end"])
            has_more = page["hasMore"]

    async def print_tail(self, count: int) -> None:
        """Prints the last lines that are stored. Raises ApiError."""
        pages: list[Json] = []
        before, left, has_more = None, count, True
        while has_more and (left > 0 or not pages):
            page = await self._page(before=before, last=min(_PAGE, max(left, 1)))
            pages.append(page)
            before, has_more = page["start"], page["hasMore"]
            left -= len(page["lines"])
        if count > 0:
            self.printed_to = pages[-1]["start"] - 1
            for page in reversed(pages):
                self._print(page["lines"], page["omitted"], page["end"])
        self.printed_to = max(self.printed_to, pages[0]["end"])

    async def follow(self) -> None:
        """Prints new lines until it is cancelled. Raises ApiError."""
        stream = self._session.follow(
            documents.LOG_LINES, self._variables, cursor_field="end", after=self.printed_to, wait=True
        )
        async with aclosing(stream) as frames:
            async for frame in frames:
                if frame["kind"] == "RESYNC":
                    self._session.note("the log was replaced; it follows from its start")
                    self.printed_to = 0
                self._print(frame["lines"], frame["omitted"], frame["end"])

    def _print(self, lines: list[Json], gaps: list[Json], end: int) -> None:
        """Prints lines, and notes the gaps between them and up to `end` that are not known yet."""
        waiting = sorted((gap for gap in gaps if gap["first"] <= end), key=lambda gap: int(gap["first"]))
        texts: list[str] = []
        for line in lines:
            if line["number"] <= self.printed_to:
                continue
            while waiting and waiting[0]["first"] < line["number"]:
                self._flush(texts)
                self._note_gap(waiting.pop(0))
            texts.append(json_line(line) if self._options.as_json else f"{self._clean(line['text'])}\n")
            self.printed_to = line["number"]
        self._flush(texts)
        for gap in waiting:
            self._note_gap(gap)
        self.printed_to = max(self.printed_to, end)

    def _flush(self, texts: list[str]) -> None:
        if texts:
            self._session.write("".join(texts))
            texts.clear()

    def _note_gap(self, gap: Json) -> None:
        first, last = max(gap["first"], self.printed_to + 1), gap["last"]
        if first <= last:
            which = f"line {first:,} is" if first == last else f"lines {first:,} to {last:,} are"
            self._session.note(f"{which} missing: {_REASONS.get(gap['reason'], gap['reason'])}")
            self.printed_to = last


async def show_log(session: Session, reference: RunReference, name: str | None, options: LogOptions) -> int:
    """Prints the log of an attempt; with `follow` until the attempt has ended. Returns the exit code. Raises
    ApiError."""
    run = await find_run(session, reference)
    name = name or await _root_of(session, run)
    action = await read_action(session, documents.ATTEMPT, run, name)
    attempt = action["attempts"] if options.attempt is None else options.attempt
    log = _Log(session, run, name, attempt, options)
    await (log.print_rest() if options.tail is None else log.print_tail(options.tail))
    if options.follow:
        session.client.max_unavailable_s = math.inf
        await until(_attempt_ends(session, run, name, attempt), log.follow())
        await log.print_rest()
    if log.printed_to == 0:
        session.note(f"attempt {attempt} of {name} has no log")
        for each in action["attemptHistory"]:
            for link in each["logs"] if each["attempt"] == attempt else []:
                session.note(f"{link['name']}: {link['uri']}")
    return DONE


async def _root_of(session: Session, run: RunIdentifier) -> str:
    found = (await session.execute(documents.ROOT, run=run_input(run)))["run"]
    if found is None:
        raise ApiError(f"there is no run {run}", "NOT_FOUND")
    return str(found["rootAction"]["name"])


async def _attempt_ends(session: Session, run: RunIdentifier, name: str, attempt: int) -> None:
    """Waits until the attempt has ended, or the action without it."""
    has_ended = False
    stream = session.follow(
        documents.ATTEMPT_STATE,
        {"action": action_input(run, name)},
        cursor_field=None,
        wait=True,
        on_interruption=lambda _: None,
        is_done=lambda: has_ended,
    )
    async with aclosing(stream) as states:
        async for state in states:
            has_ended = state["attempts"] > attempt or state_has_ended(state)
            if has_ended:
                return

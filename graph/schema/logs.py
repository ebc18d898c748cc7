"""Logs of attempts: the mutation that appends lines, and the query of their pages."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated

import strawberry

import repo
from graph.context import Call
from graph.item_errors import read_items
from graph.limits.cost import paged
from graph.schema.fields import described, optional
from graph.schema.inputs.checks import optional_moment
from graph.schema.inputs.records import ActionId, ActionIdentifierInput
from graph.schema.types.connections import check_page_size
from graph.schema.types.logs import LogPage
from graph.schema.types.scalars import BigInt
from repo.domain.logs import MAX_LINE, MAX_STREAM_NAME, MAX_STREAMS

MAX_SEARCH = 1_000
"""Characters of a search."""

Attempt = Annotated[int, strawberry.argument("The number of the attempt.")]
Search = Annotated[
    str | None,
    strawberry.argument("Only lines with this text, in upper or lower case, at most 1000 characters."),
]
Levels = Annotated[
    list[repo.LogLevel] | None,
    strawberry.argument("Only lines of these levels. Lines without a level have none."),
]


@strawberry.input(description="A line of a log.")
class LogLineInput:
    text: str = described(
        f"The text, without a line end. Beyond {MAX_LINE} characters it is cut, which its end says. The "
        "character U+0000, which cannot be stored, becomes U+FFFD."
    )
    at: datetime | None = optional("When it was written; now by default.")
    level: repo.LogLevel | None = optional("Its level, if it has one.")

    def to_repo(self) -> repo.NewLogLine:
        """The same line for the repository. Raises InvalidArgument."""
        return repo.NewLogLine(self.text, optional_moment(self.at, "at"), self.level)


@strawberry.input(description="Lines to append to the log of an attempt.")
class AppendLogInput:
    action: ActionIdentifierInput = described("The action.")
    attempt: int = described("The number of the attempt.", default=1)
    stream: str = described(
        f"The stream that they belong to: 1 to {MAX_STREAM_NAME} printable ASCII characters, at most "
        f"{MAX_STREAMS} streams an attempt.",
        default="stdout",
    )
    lines: list[LogLineInput] = described("At most 5000 lines, in order.")
    offset: BigInt | None = optional(
        "How many lines of this attempt and stream were sent before: those that are stored already are left "
        "out, and a gap counts as missing lines. With it a call may be repeated; without it, repeated lines "
        "are stored twice."
    )


@strawberry.type(description="The result of appendLog.")
class AppendLogPayload:
    appended: int = described("How many of the lines were appended.")
    repeated: int = described("How many were left out, being stored already.")
    missing: BigInt = described("How many lines before these, by the `offset`, were not received.")
    cut: int = described("How many of the lines were cut for their length.")
    next_offset: BigInt = described("The `offset` of the next call for this stream.")
    first_number: BigInt | None = described("The number of the first appended line; null if there is none.")
    last_number: BigInt | None = described("The number of the last appended line; null if there is none.")
    is_truncated: bool = described(
        "Whether the log has reached the quota (`RUNGRAPH_LOG_QUOTA`): lines in its middle are removed."
    )


@strawberry.type
class LogQueries:
    @strawberry.field(
        description="Lines of the log of an attempt: the first ones after a number, or the last ones before "
        "one; 100 by default, at most 1000. An attempt without a log has an empty page.",
        graphql_type=LogPage,
        metadata=paged("first", "last"),
    )
    async def log_lines(
        self,
        info: Call,
        action: ActionId,
        attempt: Attempt,
        stream: Annotated[str | None, strawberry.argument("Only lines of this stream.")] = None,
        after: Annotated[BigInt | None, strawberry.argument("Only lines after this number.")] = None,
        first: Annotated[int | None, strawberry.argument("The number of lines, forward.")] = None,
        before: Annotated[BigInt | None, strawberry.argument("Only lines before this number.")] = None,
        last: Annotated[int | None, strawberry.argument("The number of lines, backward.")] = None,
        search: Search = None,
        levels: Levels = None,
    ) -> repo.LogPage:
        check_page_size(info, first, last)
        for name, number in (("first", first), ("last", last)):
            if number is not None and number < 0:
                raise repo.InvalidArgument(f"{name} must not be negative")
        if first is not None and last is not None:
            raise repo.InvalidArgument("first and last exclude each other")
        default = min(repo.DEFAULT_PAGE, info.context.max_page_size)
        limit = first if first is not None else last if last is not None else default
        query = log_query(stream, levels, search)
        backward = last is not None or (first is None and after is None and before is not None)
        return await info.context.repository.logs.page(
            action.to_repo(), attempt, query, after, before, limit, backward
        )


@strawberry.type
class LogMutation:
    @strawberry.mutation(
        description="Appends up to 5000 lines to the log of an attempt, also after its end. With `offset` it "
        "may be repeated.",
        graphql_type=AppendLogPayload,
    )
    async def append_log(
        self, info: Call, input: Annotated[AppendLogInput, strawberry.argument("The lines.")]
    ) -> repo.AppendResult:
        lines = await read_items("input.lines", input.lines, lambda line: line.to_repo())
        return await info.context.repository.logs.append(
            input.action.to_repo(), lines, input.attempt, input.stream, input.offset
        )


def log_query(
    stream: str | None, levels: Collection[repo.LogLevel] | None, search: str | None
) -> repo.LogQuery:
    """Which lines to read. Raises InvalidArgument."""
    if search is not None and len(search) > MAX_SEARCH:
        raise repo.InvalidArgument(f"search has {len(search)} characters; at most {MAX_SEARCH} are allowed")
    return repo.LogQuery(stream, None if levels is None else frozenset(levels), search or None)

"""GraphQL types of logs."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import strawberry

import repo
from graph.context import Call
from graph.execution import PURE
from graph.limits.cost import SHORT_LIST
from graph.schema.fields import described
from graph.schema.types.scalars import BigInt


@strawberry.type(description="A line of a log.")
class LogLine:
    number: BigInt = described(
        "Its number in the log: 1, 2, … over all streams of the attempt. It never changes."
    )
    stream: str = described("The stream that it belongs to.")
    at: datetime = described("When it was written.")
    level: repo.LogLevel | None = described("Its level, if the executor named one.")
    text: str = described("The text, without a line end. It may contain ANSI escape sequences.")


@strawberry.type(description="Numbers of a log whose lines are missing.")
class LogGap:
    first: BigInt = described("The first missing number.")
    last: BigInt = described("The last missing number.")
    reason: repo.LogGapReason = described("Why they are missing.")


@strawberry.type(description="A stream of a log.")
class LogStream:
    name: str = described("The name of the stream.")
    next_offset: BigInt = described(
        "How many of its lines the executor has sent: the `offset` with which a restarted executor goes on."
    )


def _of_summary(name: str, description: str, graphql_type: Any, **options: Any) -> Any:
    def resolve(root: strawberry.Parent[Any]) -> Any:
        return getattr(root.summary, name)

    return strawberry.field(resolve, description=description, graphql_type=graphql_type, metadata=PURE)


_LINE_COUNT = "The number of the newest line, missing ones included; 0 without a log."
_BYTE_COUNT = "The bytes of all received lines, in UTF-8 and with line ends."
_FIRST_ERROR = "The number of the first line of level ERROR or CRITICAL; null if there is none."
line_count = _of_summary("line_count", _LINE_COUNT, BigInt)
byte_count = _of_summary("byte_count", _BYTE_COUNT, BigInt)
first_error = _of_summary("first_error", _FIRST_ERROR, BigInt | None)


@strawberry.type(description="The log of an attempt, without its lines.")
class LogSummary:
    line_count: BigInt = described(_LINE_COUNT)
    byte_count: BigInt = described(_BYTE_COUNT)
    first_error: BigInt | None = described(_FIRST_ERROR)
    streams: list[LogStream] = described("Its streams, the oldest first.", metadata=SHORT_LIST)
    is_truncated: bool = described("Whether lines in its middle were removed by the quota.")


@strawberry.field(description="The size of its log; null if it has none.", graphql_type=LogSummary | None)
def log_summary_field(
    root: strawberry.Parent[repo.ActionAttempt], info: Call
) -> Awaitable[repo.LogSummary | None]:
    return info.context.loaders.log_summary.load(((root.action, root.attempt), ()))


@strawberry.type(description="A page of a log.")
class LogPage:
    lines: list[LogLine] = described("The lines that match, in order.")
    start: BigInt = described("The first number that the page covers. Continue backward with it as `before`.")
    end: BigInt = described("The last number that the page covers. Continue forward with it as `after`.")
    has_more: bool = described(
        "Whether the log goes on in the direction of the page. A page searches 32 MiB: it may have fewer "
        "lines than requested, even none, while this is true."
    )
    omitted: list[LogGap] = described(
        "Missing lines: those that the page covers, and those removed by the quota, wherever they are."
    )
    line_count = line_count
    byte_count = byte_count
    first_error = first_error

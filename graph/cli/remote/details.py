"""`rungraph get`: a run with its tree, or an action with its attempts, error, links and artifacts."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urljoin

from rich.text import Text

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session
from graph.cli.remote.names import RunReference, action_input, find_run, page_address, run_input
from graph.cli.remote.phases import phase_of
from graph.cli.remote.runs import progress_text
from graph.cli.remote.text import (
    abort_text,
    between,
    error_text,
    local_time,
    phase_cell,
    phase_counts,
    size_text,
    table,
)
from graph.cli.remote.watch_tree import WatchedRun
from graph.cli.remote.watch_view import draw
from ingest.client import ApiError
from repo.domain.identifiers import RunIdentifier, printable

MAX_ROWS = 500
"""Lines of a tree: of larger ones, what failed or runs is shown, and the rest is counted."""
_METRICS = 10


async def show_run(session: Session, reference: RunReference, as_json: bool) -> int:
    """Prints a run and its actions; returns the exit code. Raises ApiError."""
    run_id = await find_run(session, reference)
    run = (await session.execute(documents.RUN, run=run_input(run_id)))["run"]
    if run is None:
        raise ApiError(f"there is no run {run_id}", "NOT_FOUND")
    actions = await _read_actions(session, run_id)
    if as_json:
        session.print_json(run | {"actions": {"nodes": actions}})
        return DONE
    now, watched = datetime.now(UTC), WatchedRun(str(run_id))
    for kind, nodes in (("SNAPSHOT", actions), ("SYNCED", [])):
        watched.apply({"kind": kind, "actions": nodes, "removed": [], "cursor": None})
    if watched.root is not None:
        for line in draw(watched, session.width, MAX_ROWS, now).split("\n"):
            session.print(line)
        session.print("")
    labels = ", ".join(f"{each['key']}={each['value']}" for each in run["labels"])
    _print_facts(
        session,
        ("task", _task(run)),
        ("labels", labels),
        ("created", _created(run)),
        ("started", local_time(run["startedAt"])),
        ("ended", local_time(run["endedAt"])),
        ("progress", progress_text(run["rootAction"]["progress"])),
        ("executor", _executor(run)),
        ("abort", abort_text(run["abort"]) or ""),
        ("page", page_address(session.client.url, run_id)),
    )
    _print_error(session, run["error"])
    return DONE


async def _read_actions(session: Session, run: RunIdentifier) -> list[Json]:
    """All actions of a run."""
    actions: list[Json] = []
    after = None
    while True:
        page = (await session.execute(documents.ACTIONS, run=run_input(run), after=after))["actions"]
        actions += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return actions


def _task(node: Json) -> str:
    task = node["task"]
    return f"{task['name']} {task['version']}" if task else node["functionName"] or ""


def _created(node: Json) -> str:
    creator = node["createdBy"]
    by = f" by {creator['name'] or creator['subject']}" if creator else ""
    return local_time(node["createdAt"]) + by


def _executor(run: Json) -> str:
    if run["executor"] is None:
        return ""
    lost = ", lost" if run["rootAction"]["isLost"] else ""
    return f"{run['executor']}, lease until {local_time(run['leaseExpiresAt'])}{lost}"


async def show_action(session: Session, reference: RunReference, name: str, as_json: bool) -> int:
    """Prints an action of a run; returns the exit code. Raises ApiError."""
    run_id = await find_run(session, reference)
    action = await read_action(session, documents.ACTION, run_id, name)
    if as_json:
        session.print_json(action)
        return DONE
    now, phase = datetime.now(UTC), phase_of(action["phase"])
    head = Text.assemble(
        (printable(name), "bold"), "  ", phase_cell(phase, ", lost" if action["isLost"] else "")
    )
    head.append(f"  {between(action['createdAt'], action['endedAt'], now)}", "dim")
    session.print(head)
    counts = Counter({phase_of(each["phase"]): each["count"] for each in action["phaseCounts"]})
    _print_facts(
        session,
        ("run", str(run_id)),
        ("parent", action["parentName"] or ""),
        ("below", phase_counts(counts, ", ")),
        ("task", _task(action)),
        ("waits for", ", ".join(action["dependencies"])),
        ("created", _created(action)),
        ("started", local_time(action["startedAt"])),
        ("ended", local_time(action["endedAt"])),
        ("cache", "" if action["cacheStatus"] == "DISABLED" else action["cacheStatus"].lower()),
        ("progress", progress_text(action["progress"])),
        ("metrics", ", ".join(map(_metric, action["metrics"][:_METRICS]))),
        ("state", action["state"] or ""),
        ("abort", abort_text(action["abort"]) or ""),
        ("page", page_address(session.client.url, run_id, name)),
    )
    _print_table(
        session,
        ("ATTEMPT", "PHASE", "STARTED", "DURATION", "LOG", "ERROR"),
        [_attempt(each, now) for each in action["attemptHistory"]],
        flexible=(5,),
    )
    _print_table(
        session,
        ("ATTEMPT", "LINK", "ADDRESS"),
        [
            [str(each["attempt"]), printable(link["name"]), printable(link["uri"])]
            for each in action["attemptHistory"]
            for link in each["logs"]
        ],
    )
    _print_table(
        session,
        ("ATTEMPT", "ARTIFACT", "KIND", "SIZE", "ADDRESS"),
        [_artifact(each, session.client.url) for each in action["artifacts"]],
    )
    _print_error(session, action["error"])
    return DONE


async def read_action(session: Session, document: str, run: RunIdentifier, name: str) -> Json:
    """The action that the document reads. Raises ApiError if there is none."""
    found = await session.execute(document, run=run_input(run), action=action_input(run, name))
    if found["run"] is None:
        raise ApiError(f"there is no run {run}", "NOT_FOUND")
    if found["action"] is None:
        raise ApiError(f"there is no action {name} in {run}", "NOT_FOUND")
    action: Json = found["action"]
    return action


def _metric(metric: Json) -> str:
    unit = "" if metric["unit"] in (None, "1") else f" {metric['unit']}"
    return f"{metric['name']} {metric['last']:g}{unit}"


def _attempt(attempt: Json, now: datetime) -> list[Text | str]:
    log = attempt["logSummary"]
    return [
        str(attempt["attempt"]),
        phase_cell(phase_of(attempt["phase"])),
        local_time(attempt["startedAt"]),
        between(attempt["startedAt"], attempt["endedAt"], now),
        "" if log is None else f"{log['lineCount']:,} line{'' if log['lineCount'] == 1 else 's'}",
        error_text(attempt["error"]),
    ]


def _artifact(artifact: Json, url: str) -> list[Text | str]:
    return [
        str(artifact["attempt"]),
        printable(artifact["name"]),
        artifact["kind"].lower(),
        size_text(artifact["size"]),
        urljoin(url, artifact["url"]),
    ]


def _print_facts(session: Session, *facts: tuple[str, str]) -> None:
    for title, value in facts:
        if value:
            session.print(Text.assemble((f"{title:<10}", "dim"), printable(value)))


def _print_table(
    session: Session, titles: tuple[str, ...], rows: list[list[Text | str]], flexible: tuple[int, ...] = ()
) -> None:
    if rows:
        session.print("")
        # Addresses are not cut: a terminal wraps them.
        for line in table(titles, rows, session.width if flexible else 100_000, flexible):
            session.print(line)


def _print_error(session: Session, error: Json | None) -> None:
    """The whole message, line by line."""
    if error is not None:
        session.print("")
        session.print(Text(printable(error["code"] or "error"), "red"))
        for line in _lines(error["message"]):
            session.print(line)


def _lines(message: str) -> Iterator[str]:
    """Without what would control the terminal; indentation stays."""
    for line in message.expandtabs(4).split("\n"):
        yield "".join(character for character in line if character.isprintable())

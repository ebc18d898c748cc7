"""`rungraph logs` as a process: exact, in order, and resumed, whatever happens to the server."""

import json
import signal
import subprocess
import sys

import pytest

from graph.cli.remote.connection import json_line
from graph.cli.remote.logs import coloured_text, plain_text, uncoloured_text
from tests.graph.cli.remote import story
from tests.graph.cli.remote.story import NIGHTLY, append, new, phase, report
from tests.support.commands import SECONDS, Remote

ROWS = [f"row {number}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def remote(remote: Remote) -> Remote:
    story.tell(remote)
    return remote


def start(remote: Remote, name: str) -> str:
    """A run with an action `step` that runs."""
    run = f"shop/production/{name}"
    report(remote, new("main", None, run=run), new("step", "main", run=run), phase("step", "RUNNING", 1, run))
    return run


def test_lines_are_selected_and_printed_as_they_are(remote: Remote) -> None:
    def lines(*options: str) -> list[str]:
        return remote.output("logs", NIGHTLY, "load", *options).splitlines()

    assert lines() == [*ROWS, "red end\ttab", "a warning"]
    assert lines("--tail", "2") == ["red end\ttab", "a warning"]
    assert lines("--tail", "0") == []
    assert lines("--level", "warning") == ["row 3", "row 4"]
    assert lines("--search", "ROW 2") == lines("--search", "row", "--tail", "4")[:1] == ["row 2"]
    assert lines("--stream", "stderr") == ["a warning"]
    (line,) = remote.read("logs", NIGHTLY, "load", "--search", "red")
    assert (line["number"], line["stream"], line["level"]) == (6, "stdout", None)
    assert line["text"] == "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jend\ttab"


def test_a_terminal_gets_colours_and_nothing_else_that_controls_it(remote: Remote) -> None:
    _, shown = remote.on_terminal("logs", NIGHTLY, "load", "--search", "red")
    assert shown == "\x1b[31mred\x1b[0m end\ttab\x1b[0m\n"
    _, shown = remote.on_terminal("logs", NIGHTLY, "load", "--search", "red", NO_COLOR="1")
    assert shown == "red end\ttab\n"


@pytest.mark.parametrize(
    ("text", "coloured", "plain"),
    [
        ("a\rb\x08\x00\x9b", "ab", "a\rb\x08\x00\x9b"),
        ("a\u202eb\u2066c", "abc", "a\u202eb\u2066c"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\ \x1bP1$r\x1b\\x", "link x", "link x"),
        ("\x1b[1;38:5:9mx\x1b(B\x1bc\x1b", "\x1b[1;38:5:9mx\x1b[0m", "x"),
    ],
)
def test_sequences_that_control_a_terminal_are_removed(text: str, coloured: str, plain: str) -> None:
    assert (coloured_text(text), plain_text(text)) == (coloured, plain)
    assert uncoloured_text(text) == coloured.replace("\x1b[1;38:5:9m", "").replace("\x1b[0m", "")


def test_json_has_no_characters_that_control_a_terminal_or_end_a_line() -> None:
    text = "é\x1b\x7f\x85\x9b\u2028\u202e\u2069日"
    line = json_line({"text": text})
    assert line == '{"text":"é\\u001b\\u007f\\u0085\\u009b\\u2028\\u202e\\u2069日"}\n'
    assert json.loads(line) == {"text": text}


def test_long_logs_are_whole_and_gaps_are_noted_where_they_are(remote: Remote) -> None:
    run = start(remote, "long")
    # A page has more than a pipe holds, so that the reader's end is noticed within the first one.
    first = [f"first {number} {'x' * 200}" for number in range(1500)]
    append(remote, first, "step", run, offset=0)
    append(remote, ["second", "third"], "step", run, offset=1600)
    done = remote.run("logs", run, "step")
    assert done.stdout.splitlines() == [*first, "second", "third"]
    assert done.stderr == "lines 1,501 to 1,600 are missing: never received\n"
    done = remote.run("logs", run, "step", "--tail", "1202")
    assert done.stdout.splitlines() == [*first[300:], "second", "third"]
    assert done.stderr == "lines 1,501 to 1,600 are missing: never received\n"
    assert remote.output("logs", run, "step", "--tail", "2").splitlines() == ["second", "third"]
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{sys.executable}" -c "{_PROGRAM}" logs {run} step | head -n 1'],
        env=remote.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, f"{first[0]}\n", "")


_PROGRAM = "from graph.cli.main import app; app()"


def test_an_attempt_without_a_log_names_its_links(remote: Remote) -> None:
    done = remote.run("logs", NIGHTLY, "clean", "--attempt", "1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "attempt 1 of clean has no log\ncluster: https://logs.example/clean\n"
    assert remote.run("logs", NIGHTLY).stderr == "attempt 1 of main has no log\n"


def test_a_log_is_followed_exactly_across_a_crash_of_the_server_until_its_attempt_ends(
    remote: Remote,
) -> None:
    run = start(remote, "followed")
    append(remote, [str(number) for number in range(1200)], "step", run)
    with remote.running("logs", run, "step", "-f", "--tail", "1100") as command:
        assert command.printed.next() == "100"
        for number in range(1200, 1210):
            append(remote, [str(number)], "step", run)
        while command.printed.next() != "1205":
            pass
        remote.kill()
        assert command.noted.next().startswith("Connection lost, retrying … (")
        remote.start()
        append(remote, [str(number) for number in range(1210, 1220)], "step", run)
        report(remote, phase("step", "FAILED", 5, run))
        append(remote, ["1220"], "step", run)
        assert command.wait() == 0
        assert command.printed.rest() == [str(number) for number in range(1206, 1221)]
        assert command.noted.rest() == []
    assert json.loads(remote.output("logs", run, "step", "-f", "--tail", "1", "--json"))["text"] == "1220"


def test_ctrl_c_ends_a_followed_log_silently(remote: Remote) -> None:
    run = start(remote, "interrupted")
    append(remote, ["one"], "step", run)
    with remote.running("logs", run, "step", "-f") as command:
        assert command.printed.next() == "one"
        command.process.send_signal(signal.SIGINT)
        assert command.wait() == 130
        assert (command.printed.rest(), command.noted.rest()) == ([], [])

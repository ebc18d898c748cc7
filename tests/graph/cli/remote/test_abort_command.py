"""`rungraph abort` and `rungraph push`, as processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.graph.cli.remote.story import action, new, phase, report
from tests.support.commands import SECONDS, Remote, read_until

CONFIRM = "mutation ($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { phase } } }"
RUNNING = "{ runs(filter: {phases: [RUNNING]}) { nodes { name phase abort { reason } } } }"
UNCONFIRMED = "the executor has not confirmed yet that the work has stopped; --wait waits for it\n"


def start(remote: Remote, name: str) -> str:
    """A run with two actions that run."""
    run = f"shop/production/{name}"
    report(
        remote,
        *(new("main", None, run=run), new("step", "main", run=run), new("other", "main", run=run)),
        *(phase(each, "RUNNING", 1, run) for each in ("main", "step", "other")),
    )
    return run


def test_a_run_is_aborted_once_and_repeating_it_changes_nothing(remote: Remote) -> None:
    run = start(remote, "aborted")
    refused = remote.run("abort", run)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "rungraph: add --yes: without a terminal, no one can confirm the abort\n"
    forbidden = remote.run("abort", run, "--yes", RUNGRAPH_TOKEN=remote.viewer)
    assert (forbidden.returncode, forbidden.stdout) == (1, "")
    assert forbidden.stderr.startswith("rungraph: ")
    assert forbidden.stderr.count("\n") == 1
    done = remote.run("abort", run, "--yes", "--reason", "wrong data")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"aborted {run}\n", UNCONFIRMED)
    (read,) = remote.read("get", run)
    assert (read["phase"], read["abort"]["reason"]) == ("ABORTED", "wrong data")
    again = remote.run("abort", run, "--yes")
    assert (again.returncode, again.stderr) == (0, UNCONFIRMED)
    assert again.stdout == f"the abort was requested before: {run}\n"
    remote.ask(CONFIRM, id=action("main", run))
    again = remote.run("abort", run, "--yes", "--wait")
    assert again.stdout.splitlines()[1:] == ["confirmed: the work has stopped"]
    assert again.stderr == ""


def test_the_abort_of_an_action_is_awaited_until_it_is_confirmed(remote: Remote) -> None:
    run = start(remote, "awaited")
    with remote.running("abort", run, "step", "--yes", "--wait") as command:
        assert command.printed.next() == f"aborted step in {run}"
        assert [each["phase"] for each in remote.read("get", run, "step")] == ["ABORTED"]
        remote.ask(CONFIRM, id=action("step", run))
        assert command.wait() == 0
        assert command.printed.rest() == ["confirmed: the work has stopped"]
    assert [each["phase"] for each in remote.read("get", run)] == ["RUNNING"]


def test_an_abort_is_printed_as_json(remote: Remote) -> None:
    run = start(remote, "as-json")
    (action_answer,) = remote.read("abort", run, "step", "--yes")
    assert action_answer["requested"]
    assert (action_answer["action"]["name"], action_answer["action"]["abort"]["state"]) == (
        "step",
        "REQUESTED",
    )
    remote.ask(CONFIRM, id=action("step", run))
    with remote.running("abort", run, "--yes", "--reason", "wrong data", "--wait", "--json") as command:
        first = json.loads(command.printed.next())
        assert first["requested"]
        assert first["run"]["abort"]["reason"] == "wrong data"
        for name in ("other", "main"):
            remote.ask(CONFIRM, id=action(name, run))
        assert command.wait() == 0
        (second,) = map(json.loads, command.printed.rest())
    assert second["run"].keys() == first["run"].keys()
    assert second["run"]["abort"]["state"] == "CONFIRMED"


def test_what_has_ended_cannot_be_aborted(remote: Remote) -> None:
    run = start(remote, "ended")
    report(remote, *(phase(each, "SUCCEEDED", 2, run) for each in ("step", "other", "main")))
    for arguments, subject in (((run,), run), ((run, "step"), f"step in {run}")):
        done = remote.run("abort", *arguments, "--yes")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"rungraph: {subject} has ended as SUCCEEDED: there is nothing to abort\n"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("\x03", 130)])
def test_a_terminal_is_used_to_confirm_the_abort(remote: Remote, answer: str, code: int) -> None:
    run = start(remote, f"confirmed-{code}")
    outer, inner = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from graph.cli.main import app; app()", "abort", run],
        env=remote.environment,
        cwd=ROOT,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(inner)
    question = f"Abort {run}, RUNNING, with 3 unfinished actions? [y/N] "
    read_until(outer, lambda text: question in text)
    os.write(outer, answer.encode() if code == 130 else f"{answer}\n".encode())
    rest = read_until(outer, lambda text: False)
    os.close(outer)
    assert process.wait(SECONDS) == code
    assert "Traceback" not in rest
    phases = [each["phase"] for each in remote.read("get", run)]
    assert phases == ["ABORTED" if code == 0 else "RUNNING"]


def _take_terminal() -> None:
    """Makes the terminal that of the session, so that it sends SIGINT for Ctrl-C."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_push_sends_what_scripts_recorded_without_the_server(remote: Remote, tmp_path: Path) -> None:
    missing = remote.run("push")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("rungraph: the Python client is not installed here: install it by ")
    environment = {
        **remote.environment,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
        "RUNGRAPH_PROJECT": "spooled",
        "RUNGRAPH_SPOOL": str(tmp_path),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    push = ("-c", "from graph.cli.main import app; app()", "push")
    remote.kill()
    assert run("-c", "import rungraph; rungraph.track(lambda: 1, name='kept')()").returncode == 0
    assert list(tmp_path.rglob("*.spool"))
    failed = run(*push)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    remote.start()
    done = run(*push, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    sent = json.loads(done.stdout)
    assert sent.pop("sent") > 0
    assert sent == {"url": f"{remote.address}/graphql", "refused": []}
    assert not list(tmp_path.rglob("*.spool"))
    (found,) = remote.read("list", "--project", "spooled")
    assert found["phase"] == "SUCCEEDED"

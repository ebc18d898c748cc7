"""The commands that read a server, as processes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from graph.cli.remote import documents
from tests import ROOT
from tests.graph.cli.remote import story
from tests.graph.cli.remote.story import MESSAGE, NIGHTLY, append, at, minutes, new, phase, report
from tests.support.commands import SECONDS, Remote
from tests.support.ports import free_port

COMMANDS = [
    ("list",),
    ("get", NIGHTLY),
    ("get", "nightly-2"),
    ("events", NIGHTLY),
    ("logs", NIGHTLY, "load"),
    ("logs", NIGHTLY, "-f"),
    ("abort", NIGHTLY, "--yes"),
    ("watch", NIGHTLY, "--no-wait"),
]
"""Of each command an example that calls the server."""
OTHER_ERRORS: list[tuple[int, str, tuple[str, ...], dict[str, str]]] = [
    (1, "rejected the token", ("--token", "rg_" + 43 * "A"), {}),
    (1, "is not a GraphQL server (status 404)", ("--url", "{}/else"), {}),
    (2, "is not a URL", ("--url", "ftp://x"), {}),
    (2, "cannot read the token in /no/file: No such file", ("--token-file", "/no/file"), {}),
]
"""Exit codes, words, options and environments; all commands share what reports them."""


@pytest.fixture(scope="module")
def remote(remote: Remote) -> Remote:
    story.tell(remote)
    return remote


def test_every_operation_of_the_commands_is_valid() -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    found = {name: text for name, text in vars(documents).items() if name.isupper() and name[0] != "_"}
    assert len(found) > 10
    for text in found.values():
        assert validate(schema, parse(text)) == []


def test_list_filters_runs_and_prints_them_as_a_table_or_as_json(remote: Remote) -> None:
    def names(*options: str) -> list[str]:
        return [f"{run['domain']}/{run['name']}" for run in remote.read("list", *options)]

    first, second, staging = "production/nightly-1", "production/nightly-2", "staging/nightly-1"
    assert names() == [staging, second, first]
    assert names("--phase", "queued", "--phase", "RUNNING") == [staging, first]
    assert names("--task", "etl") == names("--label", "team=data", "--label", "team") == [first]
    assert names("--text", "SHOP.REP") == [second]
    assert names("--project", "shop", "--domain", "staging") == [staging]
    assert names("--since", at(60)) == [staging, second]
    assert names("--since", "2h", "--limit", "1") == [staging]
    assert names("--since", "2m", "--project", "shop") == names("--label", "team=web") == []

    done = remote.run("list", "--limit", "2")
    assert done.stderr == "there are more than these 2: see --limit\n"
    header, *rows = remote.output("list").splitlines()
    assert header.split() == ["PHASE", "RUN", "TASK", "STARTED", "DURATION", "ENDED"]
    assert [re.split(r"\s{2,}", row)[:2] for row in rows] == [
        ["○ queued", "shop/staging/nightly-1"],
        ["✓ succeeded", "shop/production/nightly-2"],
        ["● running", NIGHTLY],
    ]
    assert re.search(rf"  etl  +20..-..-.. ..:..:..  {minutes()} \d\d s  2/3  45 %$", rows[-1])
    assert remote.run("list", "--text", "none").stderr == "no runs match\n"


def test_the_table_fits_the_terminal_and_has_colours_only_there(remote: Remote) -> None:
    for columns, titles in (
        (110, ["PHASE", "RUN", "TASK", "STARTED", "DURATION", "ENDED"]),
        (80, ["PHASE", "RUN", "STARTED", "DURATION", "ENDED"]),
        (56, ["PHASE", "RUN", "DURATION", "ENDED"]),
    ):
        code, shown = remote.on_terminal("list", COLUMNS=str(columns), LINES="24")
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert (code, lines[0].split()) == (0, titles)
        assert max(map(len, lines)) <= columns
    assert re.search(r"● running    …\S+/nightly-1  ", lines[-1])
    assert "\x1b[34m● running" in shown
    _, shown = remote.on_terminal("list", COLUMNS="64", NO_COLOR="1")
    assert "\x1b[34m" not in shown
    assert "\x1b" not in remote.output("list")


def test_a_terminal_without_unicode_gets_similar_signs_and_json_stays_whole(remote: Remote) -> None:
    def output(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from graph.cli.main import app; app()", *arguments],
            env={**remote.environment, "PYTHONIOENCODING": "ascii"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
            timeout=SECONDS,
        )
        return done.stdout.decode("ascii")

    text = output("get", NIGHTLY)
    assert re.search(r"^\* main +running", text, re.M)
    assert re.search(r"^\|- \+ load +succeeded .*\n`- x clean +failed ", text, re.M)
    append(remote, ["ünïcode ✓"], "main", "shop/production/nightly-2")
    assert output("logs", "nightly-2") == "?n?code +\n"
    line = output("logs", "nightly-2", "--json")
    assert json.loads(line)["text"] == "ünïcode ✓"


def test_get_shows_a_run_with_its_tree(remote: Remote) -> None:
    text = remote.output("get", NIGHTLY)
    lines = text.splitlines()
    assert re.match(rf"{NIGHTLY}  RUNNING  {minutes()} \d\d s", lines[0])
    assert re.search(r"● main +running", text)
    assert re.search(r"├─ ✓ load +succeeded +16 s\n└─ ✗ clean +failed +20 s  attempt 2  Schema", text)
    assert "task      etl v7\nlabels    team=data\n" in text
    assert lines[-1] == f"page      {remote.address}/runs/{NIGHTLY}"
    (run,) = remote.read("get", NIGHTLY)
    project, domain, name = NIGHTLY.split("/")
    id = {"project": project, "domain": domain, "name": name}
    assert {**run, "actions": None} == {**remote.ask(documents.RUN, run=id)["run"], "actions": None}
    assert [each["name"] for each in run["actions"]["nodes"]] == ["main", "load", "clean"]


def test_get_shows_an_action_with_its_attempts_error_links_and_artifacts(remote: Remote) -> None:
    text = remote.output("get", NIGHTLY, "clean")
    assert text.startswith("clean  ✗ failed  ")
    assert "waits for load\n" in text
    attempts = re.findall(r"^(\d) +✗ failed +\S+ \S+ +(\S+ s) +SchemaMismatch: ValueError: .*$", text, re.M)
    assert attempts == [("1", "0.0 s"), ("2", "20 s")] or [each[0] for each in attempts] == ["1", "2"]
    assert "1        cluster  https://logs.example/clean\n" in text
    assert re.search(rf"2 +report.md +report +10 B +{remote.address}/artifacts/\S+\n", text)
    assert text.endswith(f"\nSchemaMismatch\n{MESSAGE}\n")
    assert "metrics   rows 118\n" in remote.output("get", NIGHTLY, "load")
    (action,) = remote.read("get", NIGHTLY, "clean")
    assert [each["attempt"] for each in action["attemptHistory"]] == [1, 2]
    assert action["artifacts"][0]["name"] == "report.md"


def test_a_run_is_found_by_its_name_its_options_and_its_page(remote: Remote) -> None:
    page = f"{remote.address}/runs/shop/production/nightly-1?action=load"
    for arguments in (
        (page,),
        (NIGHTLY, "load"),
        ("nightly-1", "--domain", "production", "load"),
        ("--project", "shop", "--domain", "production", "--run", "nightly-1", "load"),
    ):
        assert remote.output("get", *arguments).startswith("load  ✓ succeeded  ")
    assert remote.output("get", "nightly-2").startswith("shop/production/nightly-2  SUCCEEDED")
    done = remote.run("get", "nightly-1")
    assert (done.returncode, done.stderr) == (
        2,
        f"rungraph: several runs have this name: shop/staging/nightly-1, {NIGHTLY}\n",
    )


def test_events_are_printed_in_order_and_followed_until_the_run_ends(remote: Remote) -> None:
    lines = remote.output("events", NIGHTLY).splitlines()
    assert [re.split(r" {2,}", line)[1:4] for line in lines] == [
        ["main", "attempt 1", "● running"],
        ["load", "attempt 1", "● running"],
        ["load", "attempt 1", "✓ succeeded"],
        ["clean", "attempt 1", "✗ failed"],
        ["clean", "attempt 2", "● running"],
        ["clean", "attempt 2", "✗ failed"],
    ]
    assert lines[3].endswith("  SchemaMismatch: ValueError: price has 118 rows")
    run = "shop/production/followed"
    report(remote, new("main", None, run=run), new("step", "main", run=run), phase("main", "RUNNING", 1, run))
    with remote.running("events", run, "-f", "--json") as command:
        assert json.loads(command.printed.next())["phase"] == "RUNNING"
        report(remote, phase("step", "RUNNING", 2, run))
        assert json.loads(command.printed.next())["action"] == {"name": "step"}
        report(remote, phase("step", "SUCCEEDED", 3, run), phase("main", "SUCCEEDED", 4, run))
        assert command.wait() == 0
        rest = [json.loads(line) for line in command.printed.rest()]
    assert sorted((each["action"]["name"], each["phase"]) for each in rest) == [
        ("main", "SUCCEEDED"),
        ("step", "SUCCEEDED"),
    ]
    assert [each["action"]["name"] for each in remote.read("events", run, "step")] == ["step", "step"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_errors_are_one_line_and_an_exit_code(remote: Remote, command: tuple[str, ...]) -> None:
    unused = f"http://127.0.0.1:{free_port()}"
    cases: list[tuple[int, str, tuple[str, ...], dict[str, str]]] = [
        (1, f"no response from {unused}/graphql (", ("--url", unused), {}),
        (1, "requires a token: set RUNGRAPH_TOKEN", (), {"RUNGRAPH_TOKEN": ""}),
    ]
    if command == ("list",):
        cases += OTHER_ERRORS
    for code, words, arguments, environment in cases:
        done = remote.run(*command, *(each.format(remote.address) for each in arguments), **environment)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert re.fullmatch(f"rungraph: .*{re.escape(words)}.*\n", done.stderr), done


@pytest.mark.parametrize("command", ["get", "events", "logs", "watch", "abort"])
def test_what_does_not_exist_is_one_line_and_exit_code_2(remote: Remote, command: str) -> None:
    options = ("--yes",) if command == "abort" else ()
    cases = [("shop/production/none", "there is no run shop/production/none")]
    if command == "get":
        cases += [
            ("none", "there is no run named none; name it as PROJECT/DOMAIN/RUN"),
            ("a/b", "'a/b' does not name a run: use PROJECT/DOMAIN/RUN"),
        ]
    for name, words in cases:
        done = remote.run(command, name, *options)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"rungraph: {words}\n")
    if command != "watch":
        done = remote.run(command, NIGHTLY, "none", *options)
        assert done.returncode == 2
        assert re.fullmatch(r"rungraph: there is no action .*none.*\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--phase", "broken"), "there is no phase 'broken'; the phases are queued, waiting_for_"),
        (("list", "--since", "soon"), "--since must be a duration such as 30m, 2h, 7d or 4w, or a time"),
        (("logs", NIGHTLY, "--level", "loud"), "there is no level 'loud'; the levels are debug, info,"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    remote: Remote, arguments: tuple[str, ...], words: str
) -> None:
    done = remote.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rungraph: {words}")
    assert done.stderr.count("\n") == 1


def test_the_token_comes_from_an_option_the_environment_or_a_file(remote: Remote, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{remote.admin}\n")
    default = tmp_path / ".config" / "rungraph" / "token"
    default.parent.mkdir(parents=True)
    default.write_text(remote.admin)
    wrong = "rg_" + 43 * "A"
    for arguments, environment in (
        (("--token", remote.admin), {"RUNGRAPH_TOKEN": wrong}),
        (("--token-file", str(file)), {"RUNGRAPH_TOKEN": wrong}),
        ((), {"RUNGRAPH_TOKEN": remote.admin, "RUNGRAPH_TOKEN_FILE": "/no/file"}),
        ((), {"RUNGRAPH_TOKEN": "", "RUNGRAPH_TOKEN_FILE": str(file)}),
        ((), {"RUNGRAPH_TOKEN": "", "HOME": str(tmp_path)}),
    ):
        remote.output("list", *arguments, **environment)


def complete(remote: Remote, words: str, **environment: str) -> list[str]:
    """What bash is offered at the end of a line."""
    count = str(len(words.split(" ")) - 1)
    shell: dict[str, Any] = {"_RUNGRAPH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
    done = remote.run(**{**shell, **environment})
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def test_the_shell_completes_names_from_the_server(remote: Remote) -> None:
    report(remote, new("main", None, run="shop/production/$(touch hacked)"))
    assert set(complete(remote, "rungraph get shop/prod")) >= {NIGHTLY, "shop/production/nightly-2"}
    assert complete(remote, "rungraph logs shop/staging/n") == ["shop/staging/nightly-1"]
    assert complete(remote, f"rungraph logs {NIGHTLY} c") == ["clean"]
    assert complete(remote, "rungraph list --phase ti") == ["timed_out"]
    # What a shell would have to quote is not offered: its script evaluates what it is offered.
    assert [each for each in complete(remote, "rungraph get shop/production/") if "hacked" in each] == []
    unused = f"http://127.0.0.1:{free_port()}"
    assert complete(remote, "rungraph get shop", RUNGRAPH_URL=unused) == []
    assert complete(remote, "rungraph get shop", RUNGRAPH_TOKEN="wrong") == []
    assert complete(remote, "rungraph ab") == ["abort"]

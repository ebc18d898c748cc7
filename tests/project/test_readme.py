"""The README's tour: every operation works, in its order, and does what the text says."""

import re
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from graph.settings import Settings
from tests import ROOT
from tests.support.client import GraphQLClient

DOCUMENTS = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
SUBSCRIPTIONS = [document for document in DOCUMENTS if document.startswith("subscription")]
OPERATIONS = [document for document in DOCUMENTS if document not in SUBSCRIPTIONS]


async def test_the_tour_works_when_pasted(client: GraphQLClient) -> None:
    answers: list[dict[str, Any]] = []
    for operation in OPERATIONS:
        body = await client.execute(operation)
        assert "errors" not in body, (operation, body)
        answers.append(body["data"])
    start, progress, report, retry, look, history, find, state, abort, confirm = answers
    assert start["createActions"]["created"] == 3
    assert progress["updateActionPhases"]["applied"] == 3
    assert report["insertEvents"] == {"inserted": 2, "duplicates": 0}
    assert [retry[name]["applied"] for name in ("failed", "late", "retried")] == [True, False, True]
    assert retry["failed"]["action"]["error"]["code"] == "DUPLICATE_KEY"
    assert retry["retried"]["action"]["error"] is None
    assert look["run"]["rootAction"]["children"]["totalCount"] == 2
    assert [attempt["phase"] for attempt in history["action"]["attemptHistory"]] == ["FAILED"]
    assert [run["name"] for run in find["runs"]["nodes"]] == ["sales-1"]
    assert state["updateActionState"]["action"]["state"] == '{"checkpoint": 17}'
    assert abort["abortRuns"] == {"matched": 1, "requested": 0}
    assert abort["abortRun"]["run"]["abort"]["state"] == "REQUESTED"
    assert confirm["clearAbortRequest"]["action"]["abort"]["state"] == "CONFIRMED"


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS)
def test_every_subscription_is_valid(subscription: str) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(subscription)) == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_page_on_security_names_settings_and_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    settings = {f"RUNGRAPH_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"RUNGRAPH_\w+", page))
    assert named
    assert all(any(each.startswith(name) for each in settings) for name in named)
    tests = set(re.findall(r"test_\w+\.py", page))
    assert tests
    assert tests <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}

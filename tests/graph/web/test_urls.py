"""Paths of the web UI, and return URLs, which never leave this server."""

import re
from urllib.parse import urljoin

import pytest
from starlette.routing import compile_path

from graph.web.urls import UI_PATHS, return_url
from repo import Role
from tests import ROOT

HERE = "https://runs.example.com/team/rungraph/"

REFUSED = [
    "//evil.example.com",
    "///evil.example.com",
    "/\\evil.example.com",
    "\\\\evil.example.com",
    "https://evil.example.com",
    "https:evil.example.com",
    "HTTPS:/evil.example.com",
    "javascript:alert(1)",
    "data:text/html,hello",
    "/runs",
    ".",
    "..",
    "../other",
    "./../other",
    "runs/../../other",
    "runs/%2e%2e/%2e./other",
    "runs/a\\..\\..\\other",
    "runs/a b",
    "runs\r\nSet-Cookie: a=b",
    "runs\tx",
    "runs@evil.example.com",
    "runs.evil.example.com",
    "login",
    "logout",
    "runs/é",
    "runs/" + "a" * 1000,
]
ALLOWED = [
    "",
    "?state=x",
    "runs",
    "runs?project=etl&phase=FAILED",
    "runs/etl/production/nightly-1?tab=a%2Fb",
    "runs/a~1b/..c/.d/e..",
    "runs/%2Fa/%5Cb",
    "tasks",
    "aborts/",
    "graphql?query={runs{totalCount}}",
]


@pytest.mark.parametrize("requested", REFUSED)
def test_other_return_urls_are_replaced_by_the_root(requested: str) -> None:
    assert return_url(requested) == ""


@pytest.mark.parametrize("requested", ALLOWED)
@pytest.mark.parametrize(("page", "base"), [("login", "./"), ("login/callback", "../")])
def test_pages_of_the_server_are_valid_return_urls(requested: str, page: str, base: str) -> None:
    assert return_url(requested) == requested
    assert urljoin(HERE + page, base + requested) == HERE + requested


@pytest.mark.parametrize("path", UI_PATHS)
def test_every_path_of_the_web_ui_is_a_valid_return_url(path: str) -> None:
    requested = path.removeprefix("/").replace("{rest:path}", "etl/production/nightly-1")
    assert return_url(requested) == requested


def test_the_server_and_the_web_ui_have_the_same_paths() -> None:
    """`UI_PATHS` here, and the routes of the web UI's own router."""
    (router,) = (ROOT / "frontend" / "src").rglob("router.tsx")
    client_paths = re.findall(r'^\s*(?:.*\s)?path: "(/[^"]*)"', router.read_text(), re.MULTILINE)
    assert len(client_paths) > 1
    assert {path.split("/")[1] for path in client_paths} == {path.split("/")[1] for path in UI_PATHS}
    served = [compile_path(path)[0] for path in UI_PATHS]
    for path in client_paths:
        assert any(regex.match(path) for regex in served), path


def test_the_server_and_the_web_ui_know_the_same_roles_and_permissions() -> None:
    (access,) = (ROOT / "frontend" / "src").rglob("access.ts")
    table = re.search(r"Record<Role, readonly Permission\[\]> = {(.*?)\n};", access.read_text(), re.DOTALL)
    assert table is not None
    client = {
        role: set(re.findall(r'"(\w+)"', permissions))
        for role, permissions in re.findall(r"(\w+): \[(.*?)\]", table[1])
    }
    assert client == {role.name: {each.name for each in role.permissions} for role in Role}

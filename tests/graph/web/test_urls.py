"""Where people are led once they signed in: to pages of this server, and nowhere else."""

from urllib.parse import urljoin

import pytest

from graph.web.urls import UI_PATHS, return_url

HERE = "https://runs.example.com/team/rungraph/"

EVIL = [
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
FINE = [
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


@pytest.mark.parametrize("wanted", EVIL)
def test_other_return_urls_are_replaced_by_the_root(wanted: str) -> None:
    assert return_url(wanted) == ""


@pytest.mark.parametrize("wanted", FINE)
@pytest.mark.parametrize("base", ["./", "../"])
def test_pages_of_the_server_are_valid_return_urls(wanted: str, base: str) -> None:
    assert return_url(wanted) == wanted
    assert urljoin(f"{HERE}{'login/callback' if base == '../' else 'login'}", base + wanted) == HERE + wanted


@pytest.mark.parametrize("path", UI_PATHS)
def test_every_path_of_the_web_ui_is_a_valid_return_url(path: str) -> None:
    wanted = path.removeprefix("/").replace("{rest:path}", "etl/production/nightly-1")
    assert return_url(wanted) == wanted

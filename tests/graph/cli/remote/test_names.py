"""How arguments name runs."""

import pytest

from graph.cli.remote.names import RunReference, page_address, read_reference
from ingest.client import graphql_url
from repo.domain.identifiers import RunIdentifier

SERVER = "http://127.0.0.1:8000/graphql"
PAGE = "http://localhost:8000/runs/a/b/c"
Named = tuple[str | None, str | None, str | None, str | None]


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (("a/b/c/d", None, None, None), RunReference("a", "b", "c/d")),
        ((None, "a/b", "c", "d"), RunReference("a/b", "c", "d")),
        (("c/d/e", "a", "b", None), RunReference("a", "b", "c/d/e")),
        (("c", None, None, None), RunReference(None, None, "c")),
        (("c", "a", None, None), RunReference("a", None, "c")),
        ((f"{PAGE}/logs?level=error&action=x%2Fy", None, None, None), RunReference("a", "b", "c", "x/y")),
    ],
)
def test_a_run_is_named_by_a_path_a_name_options_or_its_page(named: Named, found: RunReference) -> None:
    assert read_reference(*named, SERVER) == found


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (("a/b", None, None, None), "use PROJECT/DOMAIN/RUN"),
        (("a//c", None, None, None), "domain must not be empty"),
        (("a/b/c", "a", None, None), "use PROJECT/DOMAIN/RUN"),
        (("c", "a", "b", "c"), "not both"),
        ((None, "a", "b", None), "name the run as"),
        ((None, None, None, None), "name the run as"),
        ((PAGE, "a", None, None), "needs no --project"),
        (("http://127.0.0.1:8000/tasks", None, None, None), "is not the address of a run's page"),
        (("https://127.0.0.1:8000/runs/a/b/c", None, None, None), "on another server"),
        (("http://evil.example/runs/a/b/c", None, None, None), "add --url http://evil.example to use it"),
        (("http://127.0.0.1:8000/other/runs/a/b/c", None, None, None), "on another server"),
        (("http://[::1/runs/a/b/c", None, None, None), "Invalid IPv6 URL"),
    ],
)
def test_an_incomplete_ambiguous_or_foreign_name_is_refused(named: Named, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_reference(*named, SERVER)


@pytest.mark.parametrize("server", [SERVER, "http://127.0.0.1:8000", "https://example.org/team/rungraph/"])
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a/b", "~1", ".."), ("ä ö", "50%", "x?y#z&action=1")])
def test_the_address_of_a_page_names_its_run(server: str, names: tuple[str, str, str]) -> None:
    link = page_address(graphql_url(server), RunIdentifier(*names), "load & go")
    assert read_reference(link, None, None, None, server) == RunReference(*names, "load & go")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("localhost:8000", "http://localhost:8000/graphql"),
        ("https://example.org/team/rungraph/", "https://example.org/team/rungraph/graphql"),
        ("https://example.org/team/graphql", "https://example.org/team/graphql"),
    ],
)
def test_the_address_of_a_server_may_omit_the_path_of_its_api(url: str, found: str) -> None:
    assert graphql_url(url) == found

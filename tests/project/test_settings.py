"""Settings: documentation, defaults and error messages."""

import pytest
from pydantic import ValidationError

from graph.settings import PREFIX, Settings, explain


def test_a_server_listens_on_loopback_by_default() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.database_url.startswith("sqlite:///")
    assert settings.broadcast_url == "memory://"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "abc", "valid integer"),
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("HOST", "", "at least 1 character"),
        ("DATABASE_URL", "mysql://user:secret@host/name", "must be postgresql:// or sqlite:///"),
        ("DATABASE_URL", "sqlite://", "SQLite needs a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "SQLite needs a file"),
        ("DATABASE_URL", "secret", "is not a URL"),
        ("BROADCAST_URL", "kafka://secret@host", "must be memory://, postgresql:// or redis://"),
        ("ALLOWED_ORIGINS", "https://fine.example,secret", "or an origin"),
        ("MAX_SUBSCRIPTIONS", "0", "greater than or equal to 1"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("WORKERS", "2", "more than one need PostgreSQL"),
        ("STOP_DELAY", "-1", "greater than or equal to 0"),
        ("MAX_PAGE_SIZE", "1001", "less than or equal to 1000"),
        ("MAX_BODY_BYTES", "1", "greater than or equal to 1024"),
        ("MAX_QUERY_COST", "1", "greater than or equal to 1000"),
        ("OPERATION_TIMEOUT", "0", "greater than 0"),
        ("REQUEST_TIMEOUT", "0", "greater than 0"),
        ("RATE_LIMIT", "secret", "must be like `100/minute`"),
        ("AUTH_FAILURES", "20 secret", "must be like `100/minute`"),
        ("RATE_LIMIT_STORAGE", "memcached://secret", "must be `memory://` or like redis://HOST:PORT"),
        ("TRUSTED_PROXIES", "10.0.0.1,secret", "an address or a network"),
        ("ALLOWED_HOSTS", "https://secret.example.com", "a name like runs.example.com"),
        ("TRUSTED_DOCUMENTS", "secret.json", "there is no such file"),
        ("PUBLIC_URL", "secret", "must be like https://"),
        ("PUBLIC_URL", "http://secret.example.com", "addresses of this machine only"),
        ("PUBLIC_URL", "https://user:secret@example.com", "without a password"),
        ("PUBLIC_URL", "https://secret.example.com/", "no slash at its end"),
        ("SESSION_HOURS", "0", "greater than 0"),
        ("OIDC_ISSUER", "http://secret.example.com", "addresses of this machine only"),
        ("OIDC_ISSUER", "https://secret.example.com?a=b", "without a password, query"),
        ("OIDC_CLIENT_ID", "secret", "set RUNGRAPH_PUBLIC_URL too"),
        ("OIDC_SCOPES", "secret", "contain the word `openid`"),
        ("OIDC_ALGORITHMS", "RS256,secret", "an asymmetric algorithm"),
        ("OIDC_ALGORITHMS", "HS256", "an asymmetric algorithm"),
        ("OIDC_ALGORITHMS", "none", "an asymmetric algorithm"),
        ("OIDC_ALGORITHMS", " ", "an asymmetric algorithm"),
        ("OIDC_LEEWAY", "-1", "greater than or equal to 0"),
        ("OIDC_GRANTS", "secret", "must be JSON such as"),
        ("LINKS", "secret", "must be JSON such as"),
        ("LINKS", '[{"name": "x"}]', "at 0.url: missing"),
        (
            "LINKS",
            '[{"name": "x", "url": "javascript:alert(1)"}]',
            "link 1: url must begin with https://HOST",
        ),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("LOG_FORMAT", "secret", "'auto', 'text' or 'json'"),
        ("LOG_OPERATIONS", "secret", "'all', 'slow' or 'none'"),
        ("TRACING", "secret", "valid boolean"),
        ("GRAPHIQL", "maybe", "valid boolean"),
        ("PAGE", "maybe", "valid boolean"),
        ("BASE_PATH", "secret", "must be like /team/rungraph"),
        ("BASE_PATH", "/", "none at the end"),
        ("BASE_PATH", "/secret/", "none at the end"),
        ("BASE_PATH", "//secret", "a slash before each part"),
        ("BASE_PATH", "/secret/../a", "none of them `.` or `..`"),
        ("BASE_PATH", "/secret/.", "none of them `.` or `..`"),
        ("BASE_PATH", "/secret?a=b", "letters, digits"),
        ("BASE_PATH", "/secret#a", "letters, digits"),
        ("BASE_PATH", "/{secret}", "letters, digits"),
        ("BASE_PATH", "/secr%65t", "letters, digits"),
        ("BASE_PATH", "/secret\n", "letters, digits"),
        ("BASE_PATH", "https://secret.example/a", "must be like /team/rungraph"),
    ],
)
def test_an_invalid_value_is_explained_in_one_line_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    line = explain(caught.value)
    assert line.startswith(f"RUNGRAPH_{name}: ")
    assert words in line
    assert "secret" not in line
    assert "\n" not in line


@pytest.mark.parametrize("path", ["", "/rungraph", "/team/rungraph", "/a.b/..c/~d-_", "/v1.0"])
def test_a_base_path_may_contain_any_characters_that_urls_do_not_encode(path: str) -> None:
    assert Settings(base_path=path).base_path == path


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "RUNGRAPH_OIDC_ISSUER"),
        ({"oidc_issuer": "https://login.example.com"}, "RUNGRAPH_OIDC_AUDIENCE"),
        ({"oidc_audience": "rungraph"}, "RUNGRAPH_OIDC_ISSUER"),
    ],
)
def test_oidc_needs_an_issuer_and_an_audience(values: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"auth": "oidc", **values})
    assert f"{missing}: RUNGRAPH_AUTH=oidc needs it" in explain(caught.value)


def test_workers_receive_all_settings_including_secrets() -> None:
    settings = Settings.model_validate({"oidc_client_secret": "s3cret"})
    assert Settings.model_validate(settings.for_worker()) == settings
    assert "s3cret" not in repr(settings)

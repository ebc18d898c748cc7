"""The settings: documented, with safe defaults, and refused in one clear line."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from graph.settings import PREFIX, Settings, explain

README = Path(__file__).parent.parent / "README.md"


def _shown(default: object) -> str:
    """A default as the README shows it: secrets, too, as they are where there is none."""
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`" if text else "none"


def test_the_readme_s_table_has_every_setting_with_its_default_and_description() -> None:
    rows = re.findall(r"^\| `RUNGRAPH_(\w+)` \| (.*?) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    documented = {name.lower(): (default, description) for name, default, description in rows}
    expected = {
        name: (_shown(field.default), field.description) for name, field in Settings.model_fields.items()
    }
    assert documented == expected


def test_a_server_listens_on_loopback_unless_told_otherwise() -> None:
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
        ("ALLOWED_ORIGINS", "https://fine.example,secret", "without a path"),
        ("MAX_SUBSCRIPTIONS", "0", "greater than or equal to 1"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("WORKERS", "2", "more than one need PostgreSQL"),
        ("STOP_DELAY", "-1", "greater than or equal to 0"),
        ("MAX_PAGE_SIZE", "1001", "less than or equal to 1000"),
        ("MAX_BODY_BYTES", "1", "greater than or equal to 1024"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
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
def test_a_wrong_value_is_explained_in_one_line_that_does_not_repeat_it(
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
def test_a_base_path_may_have_any_parts_that_an_address_need_not_encode(path: str) -> None:
    assert Settings(base_path=path).base_path == path

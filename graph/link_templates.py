"""Links from runs and actions to other systems, by the templates of a setting."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import ConfigDict, TypeAdapter, ValidationError

_MOST = 20
"""Templates in a setting."""
_LONGEST = 60
"""Characters of a name: it is a button's text."""
_TIMES = ("createdAt", "startedAt", "endedAt")
FIELDS = (
    *("project", "domain", "run", "action", "task", "version", "function", "environment", "attempt"),
    *_TIMES,
    *(f"{each}.ms" for each in _TIMES),
)
"""What a template may name, beside `labels.<key>`."""

_PLACE = re.compile(r"\{([^{}|]*)(?:\|([^{}]*))?\}")
_WEB = re.compile(r"https?://[^/?#{}\s]+(?:[/?#]\S*)?")
_MAIL = re.compile(r"mailto:[^/?#{}\s]+(?:\?\S*)?")
_STEPS = {".", ".."}
"""Values that would be steps in a path; encoded too."""


@dataclass(frozen=True)
class _Template:
    """An item of the setting."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    url: str
    on: Literal["run", "action"] | None = None
    """None for both."""
    project: str | None = None
    """Only for this project."""
    task: str | None = None
    """Only for this task."""

    def applies_to(self, kind: str, values: Mapping[str, Any]) -> bool:
        return (
            self.on in (None, kind)
            and self.project in (None, values["project"])
            and self.task in (None, values["task"])
        )

    def resolved(self, values: Mapping[str, Any]) -> str | None:
        """The URL with these values; None if one that it names is missing."""
        parts, end = [], 0
        for place in _PLACE.finditer(self.url):
            value = _text_of(place[1], values)
            if value is None:
                value = place[2]
            if value is None or value in _STEPS:
                return None
            parts += [self.url[end : place.start()], quote(value, safe="")]
            end = place.end()
        return "".join(parts) + self.url[end:]


_TEMPLATES = TypeAdapter(tuple[_Template, ...])


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another system."""

    name: str
    url: str


@dataclass(frozen=True)
class LinkTemplates:
    """The templates of a server."""

    templates: tuple[_Template, ...] = ()

    @property
    def read_labels_of_actions(self) -> bool:
        """Whether links of actions need the labels of their runs."""
        return any(each.on != "run" and "{labels." in each.url for each in self.templates)

    def links(self, kind: Literal["run", "action"], values: Mapping[str, Any]) -> list[Link]:
        """The links of a run or an action with these values: by the names of FIELDS without `.ms`, and
        `labels`. Missing ones are None or empty."""
        applying = (each for each in self.templates if each.applies_to(kind, values))
        resolved = ((each.name, each.resolved(values)) for each in applying)
        return [Link(name, url) for name, url in resolved if url is not None]


def parse_links(text: str) -> LinkTemplates:
    """The templates in a JSON setting; none if it is empty. Raises ValueError."""
    if not text:
        return LinkTemplates()
    try:
        templates = _TEMPLATES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        location = ".".join(map(str, first["loc"]))
        raise ValueError(
            'must be JSON such as [{"name": "Code", "url": "https://example.com/{labels.commit}"}]: '
            + (f"at {location}: {first['type']}" if location else first["type"])
        ) from None
    if len(templates) > _MOST:
        raise ValueError(f"has {len(templates)} links; at most {_MOST} are allowed")
    for number, template in enumerate(templates):
        _check(template, f"link {number + 1}")
    return LinkTemplates(templates)


def _check(template: _Template, what: str) -> None:
    name, url = template.name, template.url
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise ValueError(f"{what}: name must have 1 to {_LONGEST} printable characters")
    if not (_WEB.fullmatch(url) or _MAIL.fullmatch(url)):
        raise ValueError(
            f"{what}: url must begin with https://HOST, http://HOST or mailto:ADDRESS, where HOST and ADDRESS"
            " have no fields, and have no blanks"
        )
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme == "mailto" or (parts.hostname is not None and "@" not in parts.netloc)
        _ = parts.port
    except ValueError:
        is_plain = False
    if not is_plain:
        raise ValueError(f"{what}: url must have a valid host, without a user and a password")
    rest = _PLACE.sub("", url)
    if "{" in rest or "}" in rest:
        raise ValueError(f"{what}: url has a brace that is no field, such as {{run}}; write it as %7B or %7D")
    for place in _PLACE.finditer(url):
        field = place[1]
        if field not in FIELDS and not (field.startswith("labels.") and len(field) > len("labels.")):
            raise ValueError(
                f"{what}: url names {{{field}}}, which is none of {', '.join(FIELDS)} and labels.KEY"
            )


def _text_of(field: str, values: Mapping[str, Any]) -> str | None:
    """The value of a field as text; None if it is missing."""
    if field.startswith("labels."):
        return (values["labels"] or {}).get(field.removeprefix("labels.")) or None
    value = values[field.removesuffix(".ms")]
    if isinstance(value, datetime):
        if field.endswith(".ms"):
            return str(int(value.timestamp() * 1000))
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return None if value in (None, "") else str(value)

"""Artifacts: what an attempt of an action takes in and leaves behind, and the rules for storing them."""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from repo.domain.errors import InvalidArgument
from repo.domain.identifiers import MAX_LENGTH, ActionIdentifier, check_name
from repo.domain.phases import check_attempts

MAX_INLINE = 1024 * 1024
"""Bytes of the largest artifact that the database itself contains; larger ones are in the store."""

_TOKEN = r"[a-z0-9][a-z0-9!#$&^_.+-]*"
_PARAMETER = r'; ?[a-z0-9-]+=(?:[\w.+:/-]+|"[\w .+:/-]*")'
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER})*", re.ASCII | re.IGNORECASE)


class ArtifactKind(IntEnum):
    """What an artifact is of an attempt."""

    INPUTS = 1
    OUTPUTS = 2
    REPORT = 3
    FILE = 4


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """An artifact to store. Raises InvalidArgument for an invalid value."""

    action: ActionIdentifier
    attempt: int
    kind: ArtifactKind
    name: str
    media_type: str
    created_at: datetime | None = None
    """When its executor made it; None for when it is stored."""

    def __post_init__(self) -> None:
        check_attempts(self.attempt, "attempt")
        check_name(self.name, "the name of an artifact")
        if len(self.media_type) > MAX_LENGTH or not _MEDIA_TYPE.fullmatch(self.media_type):
            raise InvalidArgument("mediaType must be like text/html or text/csv; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored artifact, without its bytes."""

    id: bytes
    """16 random bytes, new for each content: a name may be stored again with another one."""
    action_key: bytes
    attempt: int
    kind: ArtifactKind
    name: str
    media_type: str
    sha256: bytes
    size: int
    in_store: bool
    """Whether its bytes are in the store, not in the database."""
    created_at: datetime

    @property
    def digest(self) -> str:
        """The SHA-256 digest of its bytes as text."""
        return f"sha256:{self.sha256.hex()}"

    @property
    def place(self) -> tuple[bytes, int, ArtifactKind, str]:
        """What identifies it: of the artifacts with the same place only one stays."""
        return self.action_key, self.attempt, self.kind, self.name

    def has_content_of(self, other: "Artifact") -> bool:
        """Whether both have the same bytes and media type."""
        return (self.sha256, self.media_type) == (other.sha256, other.media_type)

    def replaces(self, other: "Artifact") -> bool:
        """Whether it is the one that stays of two with the same place and different content: the one that was
        made later; of the same time, the one with the greater digest. So the order in which they arrive has
        no effect."""
        mine, others = ((a.created_at, a.sha256, a.media_type) for a in (self, other))
        return mine > others

    def made_at(self, created_at: datetime) -> "Artifact":
        """The same, made at another time."""
        return replace(self, created_at=created_at)


@dataclass(frozen=True, slots=True)
class Upload:
    """An artifact whose bytes are to be sent, as a caller that may write announced it."""

    action_key: bytes
    attempt: int
    kind: ArtifactKind
    name: str
    media_type: str
    created_at: datetime | None
    size: int
    algorithm: str
    """One of ALGORITHMS."""
    digest: bytes

    @property
    def rows(self) -> int:
        """How many rows it counts as in the transactions of group commit, whose number is limited."""
        return rows_of(self.size)


ALGORITHMS = {"sha256": 32, "md5": 16}
"""The digests of uploads, with their lengths in bytes. MD5 only detects errors of the network."""


def parse_digest(text: str) -> tuple[str, bytes]:
    """The algorithm and the bytes of a digest such as `sha256:` and hexadecimal digits. Raises
    InvalidArgument."""
    algorithm, _, digits = text.partition(":")
    length = ALGORITHMS.get(algorithm.lower())
    if length is None or not re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", digits):
        raise InvalidArgument("digest must be sha256: and 64 hexadecimal digits, or md5: and 32")
    return algorithm.lower(), bytes.fromhex(digits)


def rows_of(size: int) -> int:
    """See `Upload.rows`."""
    return 1 + size // (16 * 1024)


def new_id() -> bytes:
    """The id of a new artifact."""
    return secrets.token_bytes(16)


@dataclass(frozen=True, slots=True)
class ArtifactLimits:
    """How much may be stored."""

    bytes: int = 1024**3
    """Of one artifact."""
    per_attempt: int = 1000
    """Artifacts of one attempt of an action."""
    bytes_per_run: int = 20 * 1024**3
    """Of all artifacts of a run."""


DEFAULT_LIMITS = ArtifactLimits()

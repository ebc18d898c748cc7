"""Artifacts: the GraphQL type, and the fields of Mutation that store them."""

import base64
import binascii
import json
from collections.abc import Awaitable
from datetime import datetime
from mimetypes import MimeTypes
from typing import Annotated, Any

import strawberry
from graphql import GraphQLError

import repo
from graph.context import Call
from graph.limits.cost import SHORT_LIST
from graph.schema.fields import described, optional
from graph.schema.inputs.checks import optional_moment
from graph.schema.inputs.records import ActionIdentifierInput
from graph.schema.types.json_numbers import loads
from graph.schema.types.scalars import JSON, BigInt, check_json

MAX_TEXT = 64 * 1024
"""Bytes of the largest artifact whose content the API returns itself."""

_KNOWN_TYPES = MimeTypes()
"""By the endings of names; not those of the system, which differ."""
_TEXTUAL = frozenset(
    f"application/{each}"
    for each in ("json", "xml", "yaml", "x-yaml", "toml", "sql", "javascript", "x-sh", "x-ndjson", "jsonl")
)


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    essence = _essence(media_type)
    return essence == "application/json" or essence.endswith("+json")


def _is_text(media_type: str) -> bool:
    essence = _essence(media_type)
    return essence.startswith("text/") or essence in _TEXTUAL or essence.endswith(("+json", "+xml", "+yaml"))


@strawberry.type(
    description="What an attempt of an action takes in or leaves behind: inputs, outputs, a report, a file. "
    "Its bytes are downloaded from its `url`."
)
class Artifact:
    attempt: int = described("The number of the attempt.")
    kind: repo.ArtifactKind = described("Inputs, outputs, a report or a file.")
    name: str = described("Its name, unique within the attempt and the kind.")
    media_type: str = described("Its media type, such as text/html.")
    digest: str = described("The SHA-256 digest of its bytes, as `sha256:` and 64 hexadecimal digits.")
    size: BigInt = described("How many bytes it has.")
    created_at: datetime = described(
        "When its executor made it, if the executor said so, else when it was stored."
    )

    @strawberry.field(
        description="Where it can be downloaded: an address relative to that of the API (`…/graphql`). It is "
        "signed, and valid for a limited time without any credential. It supports ranges. Append `?download` "
        "to have browsers save it as a file."
    )
    async def url(root: strawberry.Parent[repo.Artifact], info: Call) -> str:
        return await info.context.artifact_urls.download(root)

    @strawberry.field(
        description=f"Its content, if it is JSON of at most {MAX_TEXT // 1024} KiB; otherwise null.",
        graphql_type=JSON | None,
    )
    async def json(root: strawberry.Parent[repo.Artifact], info: Call) -> Any:
        text = await _text(root, info) if _is_json(root.media_type) else None
        try:
            value = None if text is None else loads(text.encode())
            check_json(value)
            return value
        except (ValueError, GraphQLError):  # it is only said to be JSON
            return None

    @strawberry.field(
        description=f"Its content, if it is text in UTF-8 of at most {MAX_TEXT // 1024} KiB, JSON included; "
        "otherwise null."
    )
    async def text(root: strawberry.Parent[repo.Artifact], info: Call) -> str | None:
        return await _text(root, info) if _is_text(root.media_type) else None


async def _text(artifact: repo.Artifact, info: Call) -> str | None:
    if artifact.size > MAX_TEXT:
        return None
    content = await info.context.loaders.artifact_content.load((artifact.id, ()))
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


@strawberry.input
class _ArtifactInput:
    action: ActionIdentifierInput = described("The action.")
    attempt: int = described("The number of the attempt.", default=1)
    kind: repo.ArtifactKind = described("Inputs, outputs, a report or a file.")
    name: str = described(
        "Its name, 1 to 255 printable characters, also slashes; unique within the attempt and the kind."
    )
    media_type: str | None = None
    created_at: datetime | None = None

    def _with_default(self, media_type: str) -> repo.NewArtifact:
        """The artifact without its content, of this media type by default. Raises InvalidArgument."""
        return repo.NewArtifact(
            self.action.to_repo(),
            self.attempt,
            self.kind,
            self.name,
            self.media_type or type_of(self.name) or media_type,
            optional_moment(self.created_at, "createdAt"),
        )


@strawberry.input(description="An artifact to store, with its content in one of `json`, `text` and `base64`.")
class StoreArtifactInput(_ArtifactInput):
    media_type: str | None = optional(
        "Its media type, such as text/html. By default that of the name's ending, such as .csv, and else "
        "that of the content: application/json, text/plain or application/octet-stream."
    )
    json: JSON | None = optional("Its content as a JSON value, which is stored as compact UTF-8.")
    text: str | None = optional("Its content as text, which is stored as UTF-8.")
    base64: str | None = optional("Its content in base64 (RFC 4648, section 4).")
    created_at: datetime | None = optional(
        "When it was made; by default now. If another one has the same name in the attempt and the kind, the "
        "one made later stays, whichever arrives first."
    )

    def to_repo(self) -> repo.NewArtifact:
        """The artifact without its content. Raises InvalidArgument."""
        default = "text/plain; charset=utf-8" if self.text is not None else "application/octet-stream"
        return self._with_default("application/json" if self.json is not None else default)

    def content(self) -> bytes:
        """The bytes of the artifact. Raises InvalidArgument."""
        forms = [self.json is not None, self.text is not None, self.base64 is not None]
        if sum(forms) != 1:
            raise repo.InvalidArgument("the content must be in exactly one of json, text and base64")
        if self.text is not None:
            return self.text.encode()
        if self.base64 is not None:
            try:
                return base64.b64decode(self.base64, validate=True)
            except (binascii.Error, ValueError) as error:
                raise repo.InvalidArgument(f"base64 is not valid: {error}") from None
        return json.dumps(self.json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def type_of(name: str) -> str | None:
    """The media type by the ending of a name."""
    return _KNOWN_TYPES.guess_type(name, strict=False)[0]


@strawberry.input(description="An artifact whose bytes are sent by a PUT request.")
class ArtifactUploadInput(_ArtifactInput):
    media_type: str | None = optional(
        "Its media type, such as text/html. By default that of the name's ending, such as .csv, and else "
        "application/octet-stream."
    )
    size: BigInt = described("How many bytes it has.")
    digest: str = described(
        "The digest of its bytes: `sha256:` and 64 hexadecimal digits, or `md5:` and 32 for clients that "
        "compute no other."
    )
    created_at: datetime | None = optional(
        "When it was made; by default when its bytes arrive. If another one has the same name in the attempt "
        "and the kind, the one made later stays, whichever arrives first."
    )

    def to_repo(self) -> repo.NewArtifact:
        """The artifact without its content. Raises InvalidArgument."""
        return self._with_default("application/octet-stream")


@strawberry.type(description="A header of an HTTP request.")
class HttpHeader:
    name: str = described("The name of the header.")
    value: str = described("Its value.")


@strawberry.type(description="Where the bytes of an artifact are to be sent.")
class ArtifactUpload:
    url: str = described(
        "Where to send the bytes by a PUT request: an address relative to that of the API (`…/graphql`). It "
        "is signed for this artifact, size and digest, and needs no credential."
    )
    headers: list[HttpHeader] = described(
        "Headers to send, beside Content-Length. None of them is required.", metadata=SHORT_LIST
    )
    expires_at: datetime = described("Until when the request has to begin.")


@strawberry.type(description="The artifacts among what can be written.")
class ArtifactMutation:
    @strawberry.mutation(
        description="Announces an artifact of any size, and returns a signed address to send its bytes to. "
        "When all of them have arrived as announced, it is stored as by storeArtifact; an interrupted one "
        "stores nothing, and may be repeated. QUOTA_EXCEEDED if it is larger than the server allows."
    )
    async def create_artifact_upload(
        self, info: Call, input: Annotated[ArtifactUploadInput, strawberry.argument("The artifact.")]
    ) -> ArtifactUpload:
        context = info.context
        upload = await context.repository.artifacts.announce(input.to_repo(), input.size, input.digest)
        url, expires_at = await context.artifact_urls.upload(upload)
        headers = [HttpHeader(name="Content-Type", value=upload.media_type)]
        if upload.algorithm == "md5":
            value = base64.b64encode(upload.digest).decode()
            headers.append(HttpHeader(name="Content-MD5", value=value))
        return ArtifactUpload(url=url, headers=headers, expires_at=expires_at)

    @strawberry.mutation(
        description="Stores an artifact of at most 1 MiB, and returns the one that now has its name in the "
        "attempt and the kind. Idempotent: the same content again changes nothing. Of different contents the "
        "one made later stays (`createdAt`). The action must exist; the attempt need not have been reported.",
        graphql_type=Artifact,
    )
    def store_artifact(
        self, info: Call, input: Annotated[StoreArtifactInput, strawberry.argument("The artifact.")]
    ) -> Awaitable[repo.Artifact]:
        return info.context.repository.artifacts.store(input.to_repo(), input.content())

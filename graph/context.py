"""The context of a request, as resolvers see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from strawberry.types.info import Info

from graph.auth.artifact_urls import ArtifactUrls
from graph.auth.caller import Caller
from graph.link_templates import LinkTemplates
from graph.outbound import AllowedAddresses
from graph.schema.loaders import Loaders
from repo import ActionRepo, Stream, Watches

T = TypeVar("T")


@dataclass
class Context:
    """A request: the caller, its view of the repository, and the loaders of this operation."""

    repository: ActionRepo
    caller: Caller
    max_page_size: int
    artifact_urls: ArtifactUrls = None  # type: ignore[assignment]
    """Signs addresses of artifacts; by default with the key of the repository."""
    log_links: AllowedAddresses = AllowedAddresses(())
    """The addresses from which this server reads linked logs."""
    link_templates: LinkTemplates = LinkTemplates()
    """The links of runs and actions to other systems."""
    loaders: Loaders = field(init=False)
    resume_after: str | None = None
    """The cursor after which a subscription begins, in place of the one in the request."""
    stream: Stream[Any] | None = None
    """The stream of a subscription, once it has begun."""
    on_waiting: Callable[[], None] | None = None
    """Called when the stream has nothing to yield."""

    def __post_init__(self) -> None:
        if self.artifact_urls is None:
            self.artifact_urls = ArtifactUrls(self.repository.artifacts.signing_key)  # type: ignore[unreachable]
        self.reset_loaders()

    @property
    def watches(self) -> Watches:
        """What the caller may watch."""
        return self.repository.watches

    def reset_loaders(self) -> None:
        """Resets the loaders after a write."""
        self.loaders = Loaders(self.repository)

    def follow(self, stream: Stream[T]) -> Stream[T]:
        """Make this the stream of the subscription; the loaders are reset before each item."""
        self.stream = stream
        stream.on_next, stream.on_waiting = self.reset_loaders, self.on_waiting
        return stream


Call = Info[Context, None]
"""The type of `info` in resolvers."""

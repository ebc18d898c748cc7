"""Owns what a resolver knows about the call it serves."""

from dataclasses import dataclass, field

from strawberry.types.info import Info

from graph.auth.caller import Caller
from graph.schema.loaders import Loaders
from repo import ActionRepo, Progress


@dataclass
class Context:
    """One call: the repository as the caller may see it, who calls, and what this operation has read so
    far."""

    repository: ActionRepo
    caller: Caller
    max_page_size: int
    loaders: Loaders = field(init=False)
    progress: Progress = field(default_factory=Progress)
    """How far the stream of a subscription is."""
    resume_after: str | None = None
    """Behind which cursor it begins, whatever the client asked for: it was there already."""

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Read everything anew from here on: something was written."""
        self.loaders = Loaders(self.repository)


Call = Info[Context, None]
"""What resolvers take as `info`."""

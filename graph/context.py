"""The context of a request, as resolvers see it."""

from dataclasses import dataclass, field

from strawberry.types.info import Info

from graph.auth.caller import Caller
from graph.schema.loaders import Loaders
from repo import ActionRepo, Progress


@dataclass
class Context:
    """A request: the caller, its view of the repository, and the loaders of this operation."""

    repository: ActionRepo
    caller: Caller
    max_page_size: int
    loaders: Loaders = field(init=False)
    progress: Progress = field(default_factory=Progress)
    """The progress of a subscription's stream."""
    resume_after: str | None = None
    """The cursor to resume from instead of the client's, which was already reached."""

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Resets the loaders after a write."""
        self.loaders = Loaders(self.repository)


Call = Info[Context, None]
"""The type of `info` in resolvers."""

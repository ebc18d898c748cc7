"""What the lifespan of the application opens, for request handlers."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from graph.auth.artifact_urls import ArtifactUrls
from graph.auth.authentication import Authenticator
from graph.observability.metrics import Metrics
from repo import ActionRepo, Supervisor


@dataclass(frozen=True)
class State:
    """`app.state` while the application runs."""

    repository: ActionRepo
    authenticator: Authenticator
    metrics: Metrics
    supervisor: Supervisor
    artifact_urls: ArtifactUrls


def state_of(connection: HTTPConnection) -> State:
    """The state of the application that serves this request or WebSocket."""
    state: State = connection.app.state
    return state

"""Opaque node ids of runs, actions and events."""

import base64
import binascii
import json

import msgspec
import strawberry

import repo

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _encode(*parts: str | int) -> strawberry.ID:
    # Twice as fast as base64.urlsafe_b64encode: every row of a stream has an id.
    encoded = binascii.b2a_base64(msgspec.json.encode(parts), newline=False).translate(_URL_SAFE)
    return strawberry.ID(encoded.rstrip(b"=").decode())


def id_of_run(project: str, domain: str, name: str) -> strawberry.ID:
    """The id of the run of this name."""
    return _encode("Run", project, domain, name)


def id_of_action(project: str, domain: str, run_name: str, name: str) -> strawberry.ID:
    """The id of the action of this name."""
    return _encode("Action", project, domain, run_name, name)


def id_of(node: repo.Run | repo.RemovedRun | repo.Action | repo.ActionEvent) -> strawberry.ID:
    """The id of an object for `node`."""
    if isinstance(node, repo.Run | repo.RemovedRun):
        return id_of_run(node.project, node.domain, node.name)
    if isinstance(node, repo.Action):
        return id_of_action(node.project, node.domain, node.run_name, node.name)
    action = node.action
    names = action.project, action.domain, action.run_name, action.name
    return _encode("ActionEvent", *names, node.attempt, int(node.phase), node.version)


def parse_id(value: str) -> repo.RunIdentifier | repo.ActionIdentifier | repo.EventKey:
    """The object that an id names, whether it exists or not. Raises InvalidArgument."""
    try:
        text = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
        match json.loads(text):
            case ["Run", str(project), str(domain), str(name)]:
                return repo.RunIdentifier(project, domain, name)
            case ["Action", str(project), str(domain), str(run_name), str(name)]:
                return repo.ActionIdentifier(project, domain, run_name, name)
            case ["ActionEvent", str(project), str(domain), str(run), str(name), int(a), int(p), int(v)]:
                action = repo.ActionIdentifier(project, domain, run, name)
                return repo.EventKey(action, a, repo.ActionPhase(p), v)
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise repo.InvalidArgument("the id is not one that this server gave out")

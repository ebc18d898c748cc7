"""Ports of servers under test."""

import contextlib
import random
import socket


def free_port() -> int:
    """A free port, below those that the system gives to outgoing connections: one of these could otherwise
    take the port of a server that restarts."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port

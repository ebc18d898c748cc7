"""TCP options that make a connection fail within seconds when the other host no longer answers.

Without them, connections to a host that died silently stay open for about 15 minutes, until TCP gives up.
"""

import socket

_USER_TIMEOUT = 4
"""Seconds after which unacknowledged data breaks the connection."""
_OPTIONS = {
    # Names of Linux; options that a system lacks are left out.
    "TCP_KEEPIDLE": 2,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": _USER_TIMEOUT * 1000,
}

TCP_OPTIONS = {getattr(socket, name): value for name, value in _OPTIONS.items() if hasattr(socket, name)}
"""Values of the options at level IPPROTO_TCP. They need SO_KEEPALIVE."""


def keep_alive(connection: socket.socket) -> None:
    """Set the options on a connected socket; nothing on a Unix socket."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in TCP_OPTIONS.items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)

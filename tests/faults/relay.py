"""The database host in a network namespace: forwards TCP connections to Unix sockets.

`python -m tests.faults.relay ADDRESS PORT=SOCKET...`. On SIGUSR1 it drops every connection, like a host that
loses power; the peer does not notice if the network drops packets.
"""

import asyncio
import contextlib
import signal
import sys

_links: set[asyncio.StreamWriter] = set()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forwards data until one side ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


async def _relay(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there = await asyncio.open_unix_connection(path)
    except OSError:
        writer.transport.abort()
        return
    links = {writer, there[1]}
    _links.update(links)
    try:
        await asyncio.gather(forward(reader, there[1]), forward(there[0], writer))
    finally:
        _links.difference_update(links)


def _drop() -> None:
    for link in _links:
        link.transport.abort()


async def main(address: str, targets: list[str]) -> None:
    """Forwards connections until the process is stopped."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _drop)
    for target in targets:
        port, _, path = target.partition("=")

        async def accept(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str = path
        ) -> None:
            await _relay(path, reader, writer)

        await asyncio.start_server(accept, address, int(port))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

"""Reads bodies of requests up to a limit."""

from starlette.requests import ClientDisconnect, Request

from graph.errors import RequestRefused


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises RequestRefused if it exceeds the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> RequestRefused:
    # The connection stays open: if it were closed while the client sends, the response would be lost.
    text = f"The body is larger than {limit:,} bytes: send less in a call."
    return RequestRefused(413, "PAYLOAD_TOO_LARGE", text)

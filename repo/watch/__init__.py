"""Streams of changes: what exists now, then every change, without a gap.

    write → commit → notification (bus) ─┐            at once, and once a second anyway
    database → feed ── poll ── hub ──────┴→ mailbox → stream → frame → encoded result (graph.transport)

One hub per replica reads the change feed, each changed row once (`feed`, `hub`). It puts the row into the
mailbox of each stream that matches it (`mailboxes`, `matching`). A stream joins the hub first, then reads a
snapshot, then yields what its mailbox holds (`stream`, `row_streams`, `event_streams`, `abort_streams`,
`watches`), in frames of bounded size. No stream holds a connection while its client is slow.
"""

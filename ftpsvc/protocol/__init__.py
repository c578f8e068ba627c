"""The protocol as bytes and states, without I/O: nothing here knows sockets, files, threads or clocks.

Read it in this order: `limits`, `state` (the table), `headers`, `frames` and `buffer`, `connection`.
The norm is docs/protocol.md.
"""

"""A file transfer service over plain sockets: a JSON header, a payload, a digest that both sides computed.

This package holds what client and daemon share (`protocol`, `transport`, `paths`, `confine`, `digests`,
`exceptions`) and the daemon itself (`storage`, `server`). The client's Python API is the package `ftpsvc_client`.
Importing `ftpsvc` imports nothing else, so that both commands start fast.
"""

__version__ = "0.1.0"

"""The daemon: configuration, sessions, the rules, and a thin socket server round them.

From the inside out: `session` and `namespace` (what one client may see), `service` with `transfers` and `listing` (the
rules), `exchange` (one request's way through a channel), `conversation` (one connection), `registry`, `tcp`,
`daemon` (everything that runs), `lifecycle` (signals) and `cli`.
"""

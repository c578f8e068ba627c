"""What one side accepts from the other at most, with the reason for each number.

Source: docs/protocol.md section 2.5.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1

PREFIX_BYTES: Final = 4
"""Length of the length."""

MIN_HEADER: Final = 2
"""`{}` is the shortest JSON object."""

MAX_HEADER: Final = 65536
"""A path of 4096 bytes may need six characters a byte in JSON (`\\u0001`), twice in a `mv`: 48 KiB and room."""

MAX_HEADER_BEFORE_LOGIN: Final = 4096
"""Who has not logged in sends log-in steps, which are short."""

MAX_NESTING: Final = 16
"""No header here nests deeper than three; Python's own parser would go on to its recursion limit."""

MAX_SIZE: Final = 2**63 - 1
"""Sizes and times are signed 64-bit numbers on every file system that could hold them."""

DEFAULT_WINDOW: Final = 1
"""Unanswered requests that a peer may have which announces no window: none besides the one under way."""

MAX_WINDOW: Final = 1024
"""Largest window that a client makes use of, whatever the greeting says."""

MAX_PAGE: Final = 10_000
"""Most entries of one page of a listing."""

MAX_PAGE_BYTES: Final = 16 << 20
"""Longest payload of a page that a client accepts: a page is held in memory as a whole."""

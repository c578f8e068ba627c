"""Receipts for what was handed in: what they say, how they are signed and chained, and how anybody checks them.

Both sides use this package, and so does whoever holds a receipt and no server. Source: docs/receipts.md.
"""

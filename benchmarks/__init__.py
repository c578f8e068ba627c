"""Measurements of ftpsvc beside raw sockets and other servers; `make bench` runs them."""

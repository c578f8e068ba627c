"""`python -m ftpsvc.server` is `ftpsvc-server`."""

from ftpsvc.server.cli import main

main()

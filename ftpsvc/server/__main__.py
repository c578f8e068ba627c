"""`python -m ftpsvc.server` is `ftpsvc-server` without homework; `-m ftpsvc.commands.server` has all of it."""

from ftpsvc.server.cli import main

main()

"""`python -m ftpsvc_client` is `ftpsvc`."""

from ftpsvc_client.cli import main

main()

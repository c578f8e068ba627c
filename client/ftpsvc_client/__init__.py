"""The client of ftpsvc: the Python API and the command `ftpsvc`."""

"""Fuzz targets, run by hand with `make fuzz` and for a moment by every `make test`."""

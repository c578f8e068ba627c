"""A kit that grades any student's file transfer server, as a black box (docs/kit.md)."""

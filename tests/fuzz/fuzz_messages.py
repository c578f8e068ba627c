"""Fuzzes the message parser with atheris: `python -m tests.fuzz.fuzz_messages [--seconds N] [--runs N] [--keep DIR]`.

The invariant is in `tests.fuzz.invariant`. It begins with the conversations of docs/protocol.md. An input that breaks
the invariant is printed, and kept in the working directory as `crash-...`; `--input FILE` checks it again.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LONGEST = 8192
"""Bytes of an input: longer ones find nothing that these do not, and cost time."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the fuzzer in a process of its own, which never returns, and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="fuzz_messages", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--seconds", type=int, default=0, help="end after so many seconds; 0 is never")
    parser.add_argument("--runs", type=int, default=-1, help="end after so many inputs; -1 is never")
    parser.add_argument("--keep", type=Path, help="folder of inputs to begin with and to add to")
    parser.add_argument("--input", type=Path, help="check the invariant for this one input only")
    options = parser.parse_args(arguments)
    if options.input is not None:
        from tests.fuzz.invariant import check

        check(options.input.read_bytes())
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        corpus = options.keep or Path(temporary)
        corpus.mkdir(parents=True, exist_ok=True)
        flags = [
            f"-max_total_time={options.seconds}",
            f"-runs={options.runs}",
            f"-max_len={_LONGEST}",
            "-timeout=10",
        ]
        command = [
            sys.executable,
            "-c",
            "from tests.fuzz.fuzz_messages import fuzz; fuzz()",
            *flags,
            str(corpus),
        ]
        places = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        return subprocess.run(command, check=False, env=environment).returncode


def fuzz() -> None:
    """Hands the process over to the fuzzer; the arguments of the process are libFuzzer's, the last is the corpus."""
    import atheris

    with atheris.instrument_imports(include=["ftpsvc.protocol"]):
        from tests.fuzz.invariant import check, seeds

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        """Changes the bytes anyhow, or one header in a way that keeps its length true: else few inputs get past it."""
        choose = random.Random(seed)
        frames = list(_frames(data[2:]))
        if not frames or choose.random() < 0.4:
            return bytes(atheris.Mutate(data, most))
        start, end = choose.choice(frames)
        header = bytes(atheris.Mutate(data[2 + start + 4 : 2 + end], 1024))
        changed = data[: 2 + start] + struct.pack("!I", len(header)) + header + data[2 + end :]
        return changed[:most]

    corpus = Path(sys.argv[-1])
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where prefixes and headers begin and end, as far as the lengths are true; payloads are not known here."""
    start = 0
    while start + 4 <= len(data):
        (length,) = struct.unpack_from("!I", data, start)
        end = start + 4 + length
        if not 2 <= length <= len(data) or end > len(data):
            start += 1  # perhaps a payload
            continue
        yield start, end
        start = end


if __name__ == "__main__":
    sys.exit(main())

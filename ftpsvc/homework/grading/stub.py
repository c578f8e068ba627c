"""The program that calls students' functions inside the sandbox, and how it is asked and answers.

Everything in there is the student's to forge: the stub shares a process with the student's code. That gains nothing,
because all it can answer is what a function is said to have returned, and what is right is known outside only.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import Any, Final

from ftpsvc.homework.grading import values

_MAIN: Final = r"""
import importlib, json, os, sys, traceback

def told(error):
    try:
        text = str(error)[:2000]
    except BaseException:
        text = ""
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__.tb_next, -8)
    except BaseException:
        lines = []
    return {"type": str(type(error).__name__)[:200], "message": text, "traceback": "".join(lines)[-4000:]}

def main(request):
    answers = []
    for call in request["calls"]:
        try:
            args, kwargs = unpack(call["args"]), unpack(call["kwargs"])
            function = importlib.import_module(call["module"])
            for name in call["name"].split("."):
                function = getattr(function, name)
            result = function(*args, **kwargs)
        except BaseException as error:
            answers.append({"raised": told(error)})
            continue
        try:
            answers.append({"value": pack(result)})
            json.dumps(answers[-1])
        except BaseException as error:
            answers[-1:] = [{"raised": told(error)}]
    try:
        sys.stdout.flush(), sys.stderr.flush()
    finally:
        rest = memoryview((request["marker"] + json.dumps(answers)).encode("ascii"))
        while rest:
            rest = rest[os.write(1, rest):]
        os._exit(0)

request = json.loads(sys.stdin.buffer.readline().decode("ascii"))
sys.path.insert(0, os.getcwd())
main(request)
"""

PROGRAM: Final = inspect.getsource(values) + _MAIN
"""For `python -I -c`: the request is the first line of its standard input, the rest is the student's to read."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the student's code, as told from inside: texts, short, that may hold anything."""

    type: str
    message: str
    traceback: str


def request(calls: list[Any], marker: str) -> bytes:
    """Returns the line that asks for calls.

    Args:
        calls: Each a dict of `module`, `name`, `args` (packed list) and `kwargs` (packed dict).
        marker: What the answer shall begin with; printed text comes before it.
    """
    return json.dumps({"calls": calls, "marker": marker}).encode("ascii") + b"\n"


def answers(stdout: bytes, marker: str, number: int) -> tuple[bytes, list[Any] | None]:
    """Returns what was printed, and what came of each call: a value in a tuple of one, or `Raised`.

    The second is None where there is no answer: the program ended before, or it is forged and makes no sense.
    """
    printed, found, answer = stdout.rpartition(marker.encode("ascii"))
    if not found:
        return stdout, None
    try:
        said = json.loads(answer)
        if not isinstance(said, list) or len(said) != number:
            return printed, None
        return printed, [_answer(one) for one in said]
    except (ValueError, TypeError, KeyError, RecursionError):
        return printed, None


def _answer(said: dict[str, Any]) -> tuple[Any] | Raised:
    if "value" in said:
        return (values.unpack(said["value"]),)
    raised = said["raised"]
    return Raised(str(raised["type"])[:200], str(raised["message"])[:2000], str(raised["traceback"])[-4000:])

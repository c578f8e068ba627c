"""The checks of the rubric: each is one thing that a server must do, seen from outside (docs/kit.md).

A check is a function that gets a tester and raises a `Fault`. Each runs against a server that was just started, so no
check pays for another one's fault, and a server that crashes does it under the name of what crashed it.
"""

from __future__ import annotations

from typing import Final

from ftpsvc.homework.kit.checks import content, directory, home, listing, login, quota, resume, users
from ftpsvc.homework.kit.checks.tester import Tester, new_secret, prepared
from ftpsvc.homework.kit.rubric import Check

CHECKS: Final[tuple[Check[Tester], ...]] = tuple(
    check
    for module in (login, users, home, quota, directory, listing, content, resume)
    for check in module.CHECKS
)
"""All of them, in the order in which they are run: that of the rubric."""

__all__ = ["CHECKS", "Tester", "new_secret", "prepared"]

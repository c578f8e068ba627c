"""What a folder may hold, given what clients said before and after each step until something died."""

import pytest

DIRECTORY = "a directory"

# What may be at a path: digests, DIRECTORY, or None for nothing.
Possible = dict[str, set[str | None]]


class Model:
    """What there may be, given what one writer said. Nobody else writes at its paths."""

    def __init__(self) -> None:
        self.possible: Possible = {}

    def believe(self, lines: list[str]) -> None:
        """Takes in what the writer said: the step that it was at when it died, or lost its server, may be done or not.

        Of a tree that was under way, or that was refused in part, each file may be the old one or the new one.
        """
        step: list[str] = []
        for line in lines:
            match line.split():
                case ["ready" | "..." | "lost" | "short"]:
                    continue
                case ["done"]:
                    self.possible = self.after(step)
                    step = []
                case ["failed"]:
                    if step and step[0] == "tree":
                        self._perhaps(step)
                    step = []
                case words:
                    if step:  # of a connection that was lost before: nobody knows
                        self._perhaps(step)
                    step = words
        if step:
            self._perhaps(step)

    def _perhaps(self, step: list[str]) -> None:
        happened = self.after(step)
        self.possible = {
            path: self.at(path) | happened.get(path, {None})
            for path in self.possible.keys() | happened.keys()
        }

    def at(self, path: str) -> set[str | None]:
        """Returns what may be at a path."""
        return self.possible.get(path, {None})

    def settle(self, found: dict[str, str | None]) -> None:
        """Takes in what there really is."""
        self.possible = {path: {what} for path, what in found.items()}

    def after(self, step: list[str]) -> Possible:
        """Returns what there is once a step is done."""
        new = dict(self.possible)
        match step:
            case ["put", path, digest]:
                new[path] = {digest}
            case ["tree", path, *digests]:
                new[path] = {DIRECTORY}
                new |= {f"{path}/x{number}": {digest} for number, digest in enumerate(digests)}
            case ["mkdir", path]:
                new[path] = {DIRECTORY}
            case ["rm", path]:
                new = {
                    name: found
                    for name, found in new.items()
                    if name != path and not name.startswith(path + "/")
                }
            case ["mv", source, target]:
                new[target], new[source] = self.at(source), ({None} if source != target else self.at(source))
            case _:
                pytest.fail(f"the process said {step}")
        return new

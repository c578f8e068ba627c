"""What the command leaves out while it starts, so that a short one is over soon (docs/design.md, "Start-up").

For the command only: a program that imports `ftpsvc_client` gets pydantic as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import Any

_METADATA = "importlib.metadata"
_IMPORTER = "pydantic.plugin._loader"


def without_plugins() -> None:
    """Loads pydantic without plugins, and without what it would need to look for some.

    It imports importlib.metadata for that, and so email, zipfile, csv, ..., also where PYDANTIC_DISABLE_PLUGINS says
    that nothing will be looked for: 8 of 145 ms. For the time of that one import a module stands there which imports
    the real one when it is called.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if _METADATA in sys.modules or _IMPORTER in sys.modules:
        return
    stand_in = ModuleType(_METADATA)
    stand_in.entry_points = _entry_points  # type: ignore[attr-defined]
    sys.modules[_METADATA] = stand_in
    try:
        # A pydantic that has it elsewhere works as well, and starts more slowly.
        with contextlib.suppress(ImportError):
            importlib.import_module(_IMPORTER)
    finally:
        del sys.modules[_METADATA]


def _entry_points(**selection: Any) -> Any:
    from importlib.metadata import entry_points

    return entry_points(**selection)

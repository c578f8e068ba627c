"""What the kit's reports say, in Chinese: by the English that stands in the code, places included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ftpsvc.homework.kit.chinese_client import CLIENT
from ftpsvc.homework.kit.chinese_server import SERVER

CHINESE: Final[Mapping[str, str]] = {**CLIENT, **SERVER}

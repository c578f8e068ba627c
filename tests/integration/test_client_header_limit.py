"""A server says how long a header it takes; one of the base profile, 4096 bytes (docs/protocol.md section 2.5)."""

from __future__ import annotations

import pytest

from ftpsvc.exceptions import InvalidRequest, NotFound
from ftpsvc.protocol.headers import Cd
from ftpsvc_client import connect
from tests.helpers.raw_server import raw_server


@pytest.mark.parametrize(("limits", "most"), [({}, 4096), ({"header": 300}, 300)], ids=["unsaid", "said"])
def test_c06_the_longest_header_is_sent_and_a_longer_one_is_not(limits: dict[str, int], most: int) -> None:
    room = most - len(Cd(path="").encode())
    with raw_server(limits=limits) as (url, server), connect(url) as client:
        with pytest.raises(NotFound):
            client.cd("x" * room)
        with pytest.raises(InvalidRequest, match="too long for this server"):
            client.cd("x" * (room + 1))
        assert client.cd("/") == "/"
        assert [len(str(request.get("path"))) for request in server.seen if request["op"] == "cd"] == [
            room,
            1,
        ]
        assert server.connections == 1

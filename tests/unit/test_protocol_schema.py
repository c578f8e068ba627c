"""docs/protocol.schema.json is what the models say, and describes what is really sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.protocol.headers import REQUESTS
from ftpsvc.protocol.schema import document
from tests.helpers.examples import load

FILE = Path(__file__).resolve().parents[2] / "docs" / "protocol.schema.json"


def test_the_file_is_up_to_date() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == document(), (
        "run: python -m ftpsvc.protocol.schema > docs/protocol.schema.json"
    )


def test_the_command_writes_the_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftpsvc.protocol.schema"], capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b""
    assert done.stdout.decode() == FILE.read_text(encoding="utf-8")


def test_every_reference_leads_somewhere() -> None:
    whole = document()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return (
                [value["$ref"]]
                if "$ref" in value
                else [each for part in value.values() for each in references(part)]
            )
        return [each for part in value for each in references(part)] if isinstance(value, list) else []

    found = set(references(whole))
    assert found == {f"#/$defs/{name}" for name in whole["$defs"]}


def test_no_field_is_ever_null() -> None:
    assert '"null"' not in json.dumps(document())


@pytest.mark.parametrize("op", REQUESTS)
def test_what_says_which_message_it_is_is_required(op: str) -> None:
    whole = document()
    operation = whole["operations"][op]
    request = whole["$defs"][operation["request"]["$ref"].rpartition("/")[2]]
    response = whole["$defs"][operation["response"]["$ref"].rpartition("/")[2]]
    assert request["properties"]["op"] == {"const": op, "type": "string"}
    assert "op" in request["required"]
    assert response["properties"]["status"] == {"const": "ok", "type": "string"}
    assert "status" in response["required"]


def test_the_examples_of_the_page_have_what_is_required_and_nothing_unknown() -> None:
    whole = document()
    definitions = whole["$defs"]
    checked = 0
    for example in load():
        asked: list[str] = []
        expect_trailer = {"C": False, "S": False}
        greeted = False
        for message in example.messages:
            header = message.header
            if expect_trailer[message.sender]:
                name = "Trailer"
                expect_trailer[message.sender] = False
            elif message.sender == "C":
                op = header["op"]
                asked.append(op)
                if op not in whole["operations"]:
                    continue
                name = whole["operations"][op]["request"]["$ref"].rpartition("/")[2]
                expect_trailer["C"] = whole["operations"][op].get("requestPayload") == "content"
            elif not greeted:
                name, greeted = "Greeting", True
            else:
                op = asked.pop(0)
                if header["status"] == "error":
                    fields = whole["errors"][header["code"]]["fields"]
                    assert header.keys() <= {*definitions["ErrorResponse"]["properties"], *fields}
                    checked += 1
                    continue
                operation = whole["operations"][op]
                name = operation["response"]["$ref"].rpartition("/")[2]
                expect_trailer["S"] = operation.get("responsePayload") == "content"
            assert header.keys() >= set(definitions[name]["required"])
            assert header.keys() <= definitions[name]["properties"].keys()
            checked += 1
    assert checked > 50

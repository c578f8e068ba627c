"""JSON Schemas of all headers, made from the models that read and write them.

    python -m ftpsvc.protocol.schema > docs/protocol.schema.json

A test compares that file with `document()`. It is written by the shell, since this package has no files to do with.
Source: docs/protocol.md section 2.6.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from ftpsvc.exceptions import BY_CODE
from ftpsvc.protocol.headers import (
    REQUESTS,
    ErrorResponse,
    Greeting,
    Header,
    Request,
    Trailer,
)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document() -> dict[str, Any]:
    """Returns one JSON Schema document: `$defs` has every header, `operations` and `errors` say what belongs together.

    The schemas describe what is sent: a field that may be missing is left out, never null. Unknown keys are allowed.
    """
    models: list[type[Header]] = [Greeting, Trailer, ErrorResponse]
    lines = [line for request in REQUESTS.values() for line in (request.line, request.content_line)]
    models += [line for line in lines if line is not None]
    models += [model for request in REQUESTS.values() for model in (request, request.answer)]
    _, schema = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    definitions = {name: _as_sent(definition) for name, definition in sorted(schema["$defs"].items())}
    definitions["Greeting"]["required"] = [*Greeting.always, *definitions["Greeting"]["required"]]
    definitions["Trailer"]["oneOf"] = [{"required": ["digest"]}, {"required": ["error"]}]
    return {
        "$schema": _DIALECT,
        "title": "Headers of the ftpsvc protocol, version 1",
        "description": "Generated from the models of ftpsvc.protocol.headers. The norm, in words, is docs/protocol.md.",
        "greeting": _reference(Greeting),
        "trailer": _reference(Trailer),
        "error": _reference(ErrorResponse),
        "operations": {op: _operation(request) for op, request in REQUESTS.items()},
        "errors": {
            code: {"fields": list(error.wire_fields), "retry": error.retry}
            for code, error in sorted(BY_CODE.items())
        },
        "$defs": definitions,
    }


def _operation(request: type[Request]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "base": request.base,
        "request": _reference(request),
        "response": _reference(request.answer),
    }
    if request.content:
        described["requestPayload"] = "content"
    if request.content_line is not None:
        described["requestLine"] = _reference(request.content_line)
    if request.content_answer:
        described["responsePayload"] = "content"
    elif request.line is not None:
        described["responsePayload"] = "lines"
        described["line"] = _reference(request.line)
    elif request.payload_answer:
        described["responsePayload"] = "digests"
    return described


def _reference(model: type[Header]) -> dict[str, str]:
    return {"$ref": f"#/$defs/{model.__name__}"}


def _as_sent(definition: dict[str, Any]) -> dict[str, Any]:
    """Returns a model's schema with what validation also lets pass taken away, and what is always sent required."""
    properties = {name: _field(field) for name, field in definition["properties"].items()}
    constant = {name for name, field in properties.items() if "const" in field and name != "service"}
    required = {*definition.get("required", ()), *constant}
    return {
        "type": "object",
        "description": definition["description"],
        "properties": properties,
        "required": [name for name in properties if name in required],
    }


def _field(field: dict[str, Any]) -> dict[str, Any]:
    field = {key: value for key, value in field.items() if key != "title"}
    if field.get("default", "") is None or "const" in field:
        del field["default"]
    if "anyOf" in field:
        (only,) = (choice for choice in field.pop("anyOf") if choice != {"type": "null"})
        field = only | field
    return field


def main() -> None:
    """Writes the document to stdout."""
    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

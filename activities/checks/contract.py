"""The contract as its consumers know it: OpenAPI answers, the error format, timestamps."""

import json
import re
from datetime import datetime
from itertools import product
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from activities.staging import Check, StagingClient, body

_RFC3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_PARAMETER = re.compile(r"\{(\w+)\}")
_MOST_DEVIATIONS = 3


def moment(value: object) -> datetime | None:
    """An RFC 3339 time in UTC that is written with Z; None for anything else."""
    if not (isinstance(value, str) and _RFC3339_UTC.fullmatch(value)):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def error_deviations(answer: httpx.Response, status: int, code: str) -> list[str]:
    """Where an answer is not the documented error; the format is of docs/price-api.md."""
    found = body(answer)
    wrong = []
    if answer.status_code != status:
        wrong.append(f"status {answer.status_code}, not {status}")
    if found.get("code") != code:
        wrong.append(f"code {found.get('code')}, not {code}")
    if not (isinstance(found.get("error"), str) and found["error"]):
        wrong.append("no text in `error`")
    if moment(found.get("timestamp")) is None:
        wrong.append(f"timestamp {found.get('timestamp')!r}")
    if not found.get("requestId") or found["requestId"] != answer.headers.get("x-request-id"):
        wrong.append("requestId is not that of the X-Request-Id header")
    if not answer.headers.get("content-type", "").startswith("application/json"):
        wrong.append(f"content type {answer.headers.get('content-type')}")
    return wrong


def expect_as_documented(http: StagingClient, check: Check) -> None:
    """Every example request of the served document answers as that document says."""
    document = body(http.get("/openapi.json", key=None))
    paths = document.get("paths", {})
    check.expect(bool(paths), "the served OpenAPI document has no paths")
    for path, item in paths.items():
        operation = item.get("get")
        if operation is None:
            check.could_not(f"{path} has no GET: nothing else is sent")
            continue
        # an operation without keys says `security: []`; left out, the document's own holds
        secured = bool(operation.get("security", document.get("security")))
        for asked in example_paths(document, path, operation):
            answer, milliseconds = http.timed(asked, key="" if secured else None)
            wrong = deviations(document, operation, answer)
            check.expect(not wrong, f"GET {asked}: {', '.join(wrong)}")
            check.saw(f"GET {asked} {answer.status_code} in {milliseconds:.0f} ms")


def example_paths(document: dict[str, Any], path: str, operation: dict[str, Any]) -> list[str]:
    """The path with its required parameters filled by their documented examples, each by each.

    Raises:
        LookupError: a required parameter has no example.
    """
    described = [resolve(document, parameter) for parameter in operation.get("parameters", [])]
    asked = [p for p in described if p["in"] == "path" or _is_needed_query(p)]
    return [_filled(path, asked, values) for values in product(*map(_examples, asked))]


def _is_needed_query(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "query" and bool(parameter.get("required"))


def _filled(path: str, parameters: list[dict[str, Any]], values: tuple[str, ...]) -> str:
    pairs = list(zip(parameters, values, strict=True))
    in_path = {p["name"]: value for p, value in pairs if p["in"] == "path"}
    query = [f"{p['name']}={value}" for p, value in pairs if p["in"] == "query"]
    filled = _PARAMETER.sub(lambda match: in_path[match[1]], path)
    return filled + ("?" + "&".join(query) if query else "")


def _examples(parameter: dict[str, Any]) -> list[str]:
    """Each documented example once, in the document's order."""
    schema = parameter.get("schema", {})
    named = [example.get("value") for example in parameter.get("examples", {}).values()]
    found = [parameter.get("example"), *named, schema.get("example"), *schema.get("examples", [])]
    examples = list(dict.fromkeys(str(example) for example in found if example is not None))
    if not examples:
        raise LookupError(f"parameter {parameter['name']} has no example")
    return examples


def deviations(
    document: dict[str, Any], operation: dict[str, Any], answer: httpx.Response
) -> list[str]:
    """Where a success is not as the document says: status, headers, content type, schema."""
    described = operation.get("responses", {}).get(str(answer.status_code))
    if described is None or answer.status_code >= 400:
        return [f"status {answer.status_code}"]
    described = resolve(document, described)
    wrong = [
        f"no header {name}"
        for name in described.get("headers", {})
        if name.lower() not in answer.headers
    ]
    content = described.get("content")
    if not content:
        return wrong
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind not in content:
        return [*wrong, f"content type {kind!r}"]
    schema = {"components": document.get("components", {}), "allOf": [content[kind]["schema"]]}
    try:
        errors = Draft202012Validator(schema).iter_errors(json.loads(answer.text))
    except ValueError:
        return [*wrong, "the body is not JSON"]
    wrong += [f"{error.json_path}: {error.message[:120]}" for error in errors]
    return wrong[:_MOST_DEVIATIONS]


def resolve(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` of the document names, or the value itself."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value

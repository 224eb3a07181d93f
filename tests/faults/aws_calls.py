"""One request to AWS, named: which operation, on what, and whether it writes."""

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_READS = ("Get", "List", "Describe", "Head", "Query", "Batch", "Lookup", "Invoke", "Filter", "Scan")
_FUNCTION = re.compile(r"^/20\d\d-\d\d-\d\d/functions/(?P<function>[^/]+)(?P<rest>/.*)?$")
_OF_A_FUNCTION = {
    ("GET", ""): "GetFunction",
    ("DELETE", ""): "DeleteFunction",
    ("GET", "configuration"): "GetFunctionConfiguration",
    ("PUT", "configuration"): "UpdateFunctionConfiguration",
    ("PUT", "code"): "UpdateFunctionCode",
    ("POST", "versions"): "PublishVersion",
    ("GET", "versions"): "ListVersionsByFunction",
    ("POST", "invocations"): "Invoke",
    ("POST", "aliases"): "CreateAlias",
    ("GET", "aliases"): "ListAliases",
}
_OF_AN_ALIAS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}


@dataclass
class Call:
    """A request, and what became of it."""

    service: str
    op: str
    target: str
    parameters: dict[str, Any] = field(repr=False, default_factory=dict)
    at: float = 0.0
    status: int | None = None  # what AWS said, whether or not the worker heard it
    fault: str = ""

    @property
    def writes(self) -> bool:
        """Whether it can change anything; what only counts (PutMetricData) is none of ours."""
        return not self.op.startswith(_READS)

    @property
    def applied(self) -> bool:
        """Whether AWS did it."""
        return self.status is not None and self.status < 300

    @property
    def label(self) -> str:
        """Tells calls apart, but not the same call made twice."""
        more = ""
        if self.op == "UpdateAlias":
            more = f" {serves(self.parameters)}"
        return f"{self.op} {self.target}{more}"


def serves(parameters: dict[str, Any]) -> str:
    """What an alias write asks for: `3`, or `3+0.34`, whatever its lease says."""
    weights = (parameters.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    weight = next(iter(weights.values()), None)
    return (
        "split"
        if weight is None and "FunctionVersion" not in parameters
        else ("whole" if weight is None else f"{weight:g}")
    )


def name_call(service: str, method: str, target: str, headers: dict[str, str], body: bytes) -> Call:
    """The call that the request is."""
    path = unquote(urlsplit(target).path)
    call = Call(service=service, op=f"{method} {path}", target="", at=time.time())
    wanted = headers.get("x-amz-target", "")
    if wanted:
        call.op, call.parameters = wanted.partition(".")[2], _json(body)
        call.target = _first(call.parameters, "TableName", "SecretId", "Name", "logGroupName")
    elif (found := _FUNCTION.match(path)) is not None:
        _name_lambda(call, method, found["function"], found["rest"] or "", body)
    elif "/operation/" in path:  # Smithy's RPC, in CBOR
        call.op = path.rpartition("/")[2]
    elif headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        call.op, call.parameters = fields.get("Action", "?"), fields
        call.target = fields.get("AlarmName", "")
    elif path.count("/") >= 2:  # S3, by path
        operations = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject"}
        call.op = operations.get(method, f"{method}Object")
        call.target = re.sub(r"[0-9a-f]{64}", "*", path)
    return call


def _name_lambda(call: Call, method: str, function: str, rest: str, body: bytes) -> None:
    parts = rest.strip("/").split("/")
    call.target, call.parameters = function, _json(body)
    if parts[0] == "aliases" and len(parts) == 2:
        call.op = _OF_AN_ALIAS.get(method, "?")
        call.target = f"{function}:{parts[1]}"
    else:
        call.op = _OF_A_FUNCTION.get((method, parts[0]), f"{method} {rest}")


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _first(parameters: dict[str, Any], *names: str) -> str:
    for name in names:
        if isinstance(parameters.get(name), str):
            return str(parameters[name])
    for item in parameters.get("TransactItems", []):
        return str(next(iter(item.values())).get("TableName", ""))
    return ""

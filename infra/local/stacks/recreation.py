"""Whether a changed property makes a resource anew, by AWS's own schemas of its resource types.

ministack knows that of few types and says "Conditionally" of the others. The schemas are those that
AWS's linter brings along, installed beside it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

_REGION = "eu-west-1"


class Recreation:
    """Answers from a folder of schemas; of a type without one nothing is known."""

    def __init__(self, schemas: Path) -> None:
        self._schemas = schemas
        self._files = cache(self._index)
        self._schema = cache(self._read)

    def of(self, type_: str, name: str, otherwise: str) -> str:
        """ "Always", "Conditionally" or "Never", as the API writes it."""
        schema = self._schema(type_)
        if schema is None:
            return otherwise
        if _names(schema, "createOnlyProperties", name):
            return "Always"
        return (
            "Conditionally" if _names(schema, "conditionalCreateOnlyProperties", name) else "Never"
        )

    def _index(self) -> dict[str, str]:
        try:
            text = (self._schemas / "providers" / f"{_REGION}.json").read_text()
        except FileNotFoundError:
            return {}
        found: dict[str, str] = json.loads(text)
        return found

    def _read(self, type_: str) -> dict[str, Any] | None:
        name = self._files().get(type_)
        if name is None:
            return None
        text = (self._schemas / "resources" / f"{name}.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found


def _names(schema: dict[str, Any], kind: str, name: str) -> bool:
    # a part of a property counts as the property: a change set names no more than that
    path = f"/properties/{name}"
    return any(one == path or one.startswith(f"{path}/") for one in schema.get(kind, ()))

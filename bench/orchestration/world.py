# ruff: noqa: N803  the arguments' names are boto3's
"""An AWS that answers at once: what a promotion costs beside it is the orchestration's.

Aliases lie in one SQLite file that all worker processes share, with Lambda's own rule: a write
that does not carry the alias's present `RevisionId` is refused.
"""

import base64
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

_TABLES = """
create table if not exists alias
    (function text primary key, version text, weights text, description text, revision text);
create table if not exists version (function text, number integer, description text);
create table if not exists effect (kind text, promotion text, at real default (julianday('now')));
"""
# every function's code, of every release: what differs between releases is their description
ARTIFACT = "ab" * 32
_CODE = base64.b64encode(bytes.fromhex(ARTIFACT)).decode()
_FIRST = {"version": "1", "weights": "{}", "description": ""}


class World:
    """The calls of a Lambda client that a promotion makes, and a ledger of effects."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as base:
            base.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process writes into."""
        base = sqlite3.connect(self._file, timeout=60, isolation_level=None)
        base.row_factory = sqlite3.Row
        base.execute("pragma journal_mode=wal")
        base.execute("pragma synchronous=off")
        try:
            base.execute("begin immediate")
            yield base
            if base.in_transaction:
                base.execute("commit")
        finally:
            base.close()

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        with self._open() as base:
            return self._alias(base, FunctionName)

    def update_alias(self, FunctionName: str, RevisionId: str, **new: Any) -> dict[str, Any]:
        with self._open() as base:
            if RevisionId != self._alias(base, FunctionName)["RevisionId"]:
                raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
            weights = new["RoutingConfig"]["AdditionalVersionWeights"]
            base.execute(
                "update alias set version=?, weights=?, description=?, revision=? where function=?",
                (
                    new["FunctionVersion"],
                    json.dumps(weights),
                    new["Description"],
                    uuid.uuid4().hex,
                    FunctionName,
                ),
            )
            return self._alias(base, FunctionName)

    def get_function_configuration(self, FunctionName: str, **_: Any) -> dict[str, Any]:
        return {"Version": "$LATEST", "CodeSha256": _CODE, "RevisionId": "r"}

    def update_function_configuration(self, FunctionName: str, **_: Any) -> None:
        """A configuration is not looked at."""

    def update_function_code(self, FunctionName: str, **_: Any) -> None:
        """Nor is code."""

    def publish_version(self, FunctionName: str, **new: Any) -> dict[str, Any]:
        with self._open() as base:
            row = base.execute(
                "select coalesce(max(number), 1) + 1 from version where function=?",
                (FunctionName,),
            ).fetchone()
            base.execute(
                "insert into version values (?, ?, ?)",
                (FunctionName, row[0], new.get("Description", "")),
            )
        return {"Version": str(row[0]), "CodeSha256": _CODE, "RevisionId": "r"} | new

    def get_paginator(self, _: str) -> "World":
        return self

    def paginate(self, FunctionName: str) -> list[dict[str, Any]]:
        with self._open() as base:
            rows = base.execute(
                "select number, description from version where function=?", (FunctionName,)
            ).fetchall()
        first = {"Version": "1", "CodeSha256": "", "Description": ""}
        return [
            {
                "Versions": [
                    first,
                    *(
                        {"Version": str(n), "CodeSha256": _CODE, "Description": description}
                        for n, description in rows
                    ),
                ]
            }
        ]

    def happened(self, kind: str, promotion: str) -> None:
        """One more effect stands in the ledger."""
        with self._open() as base:
            base.execute("insert into effect (kind, promotion) values (?, ?)", (kind, promotion))

    def effects(self) -> dict[tuple[str, str], int]:
        """(kind, promotion) -> how often."""
        with self._open() as base:
            rows = base.execute("select kind, promotion, count(*) from effect group by 1, 2")
            return {(kind, promotion): count for kind, promotion, count in rows}

    def split(self) -> list[str]:
        """Functions whose alias serves two versions."""
        with self._open() as base:
            rows = base.execute("select function from alias where weights != '{}'").fetchall()
        return [row[0] for row in rows]

    @staticmethod
    def _alias(base: sqlite3.Connection, function: str) -> dict[str, Any]:
        base.execute(
            "insert or ignore into alias values (?, ?, ?, ?, ?)",
            (function, *_FIRST.values(), uuid.uuid4().hex),
        )
        row = base.execute("select * from alias where function=?", (function,)).fetchone()
        weights = json.loads(row["weights"])
        return {
            "FunctionVersion": row["version"],
            "RoutingConfig": {"AdditionalVersionWeights": weights} if weights else {},
            "Description": row["description"],
            "RevisionId": row["revision"],
        }

"""Recorded histories: a folder for each version of the release system, kept for ever.

`make histories` writes the folder of the version that stands in pyproject.toml, and no other.
"""

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HISTORIES = Path(__file__).parent / "histories"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CURRENT = HISTORIES / VERSION
SUFFIX = ".json.gz"


def files(folder: Path = HISTORIES) -> list[Path]:
    """Every recording below a folder."""
    return sorted(folder.rglob(f"*{SUFFIX}"))


def name_of(file: Path) -> str:
    """`0.1.0/completed`."""
    return str(file.relative_to(HISTORIES)).removesuffix(SUFFIX)


def read(file: Path) -> str:
    """The history as Temporal exports it."""
    return gzip.decompress(file.read_bytes()).decode()


def current(name: str) -> str:
    """The history of this name, of the current version."""
    return read(CURRENT / f"{name}{SUFFIX}")


def write(name: str, history: dict[str, Any]) -> None:
    """The history is the current version's of this name; the same history is the same file."""
    CURRENT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(history, separators=(",", ":")).encode()
    (CURRENT / f"{name}{SUFFIX}").write_bytes(gzip.compress(text, mtime=0))

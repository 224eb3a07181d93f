"""The commands that the pages show, as they stand there."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "infra" / "github").glob("*.md"),
        *(ROOT / "bench").glob("*/README.md"),
    ]
)
NEEDS_AN_ACCOUNT = "needs an account"
_FENCE = re.compile(r"^\s*```(\S*)\s*$")
_MARK = re.compile(r"^\s*<!-- (needs an account|covered by (\S+)) -->\s*$")
_SPAN = re.compile(r"`(?:\.venv/bin/python |python )?starter\.py ([^`\n]+)`")
_STARTER = re.compile(r"(?:\S*python )?\S*starter\.py(?= )([^;)|]*)")
_PLACEHOLDER = re.compile(r"<[^<>]+>")


@dataclass(frozen=True)
class Block:
    """A fenced block, and the mark above it if there is one."""

    page: str
    language: str
    lines: tuple[str, ...]
    mark: str

    @property
    def commands(self) -> list[str]:
        """Its lines, continued ones joined, without comments."""
        joined = "\n".join(self.lines).replace("\\\n", " ")
        return [line.strip() for line in joined.split("\n") if line.strip()]


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """Every fenced block of a page."""
    found, inside, language, mark = [], None, "", ""
    for line in (page.read_text() if text is None else text).splitlines():
        fence = _FENCE.match(line)
        if inside is None and fence:
            inside, language = [], fence[1]
        elif inside is not None and fence:
            name = str(page.relative_to(ROOT))
            found.append(Block(name, language, tuple(inside), mark))
            inside, mark = None, ""
        elif inside is not None:
            inside.append(line)
        elif line.strip():
            marked = _MARK.match(line)
            mark = (marked[2] or marked[1]) if marked else ""
    return found


def words(command: str) -> list[str]:
    """The command as a shell has it, each placeholder a number."""
    return shlex.split(_PLACEHOLDER.sub("1", command), comments=True)


def starter_arguments(command: str) -> list[list[str]]:
    """What each `starter.py` in a line is given."""
    return [words(found[1]) for found in _STARTER.finditer(command)]


def spans(page: Path) -> list[str]:
    """What `starter.py` is given in the text: often only the part that matters there."""
    fenced = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text())
    return [found[1] for found in _SPAN.finditer(fenced)]

"""Imports run one way; the sources themselves are read, so nothing can slip past."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {".venv", ".local", "tests"}
OURS = {
    *("activities", "api_lambda", "bench", "cli", "connection", "infra", "release", "workflows"),
    *("examples", "settings", "starter", "tests", "worker"),
}
NOT_IN_WORKFLOWS = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "time.monotonic")
NOT_IN_WORKFLOWS += ("time.sleep", "os.environ", "os.getenv", "uuid.uuid4", "asyncio.wait")


class Import(NamedTuple):
    """One imported module and where that stands."""

    module: str
    place: str
    passed_through: bool

    @property
    def package(self) -> str:
        """The top-level name."""
        return self.module.partition(".")[0]


def sources(folder: str = "") -> list[Path]:
    """Every source file below a folder of the project."""
    found = (ROOT / folder).rglob("*.py")
    return sorted(path for path in found if not OUTSIDE & set(path.relative_to(ROOT).parts))


def tree_of(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(), str(path))


def imports_of(path: Path) -> list[Import]:
    """Every import of a file: at the top, inside functions, or by a dynamic import call."""
    tree = tree_of(path)
    passed_through = {
        id(inner)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and "imports_passed_through" in ast.unparse(block.items[0])
        for inner in ast.walk(block)
    }
    return [
        Import(module, f"{path.relative_to(ROOT)}:{node.lineno}", id(node) in passed_through)
        for node in ast.walk(tree)
        for module in _modules(node, path)
    ]


def _modules(node: ast.AST, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = ".".join(path.relative_to(ROOT).parts[: -node.level or None])
        yield ".".join(filter(None, (package if node.level else "", node.module)))
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("__import__", "import_module")
    ):
        yield ast.unparse(node.args[0]).strip("'\"")


def own_imports(folder: str) -> list[Import]:
    """Imports of our own packages; a module that lies beside the importing file is not one."""
    return [
        found
        for path in sources(folder)
        for found in imports_of(path)
        if found.package in OURS and not (path.parent / f"{found.package}.py").exists()
    ]


def outside(folder: str, allowed: set[str]) -> list[str]:
    """Where a folder imports something of ours that it may not."""
    return [
        f"{found.place} imports {found.module}"
        for found in own_imports(folder)
        if found.package not in allowed
    ]


@pytest.mark.parametrize(
    "folder",
    ["release", "workflows", "activities", "api_lambda", "connection", "infra/local", "cli"],
)
def test_every_room_of_the_house_is_read(folder):
    """A renamed folder cannot turn these rules into rules about nothing."""
    assert sources(folder)


def test_every_module_of_ours_is_known_here():
    """A new top-level package has to be given a place in these rules."""
    known = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in sources()}

    assert known <= OURS


def test_release_touches_nothing():
    """The rules know no cloud, no network, no workflow engine, and none of our other packages."""
    forbidden = (OURS - {"release"}) | {"boto3", "botocore", "httpx", "temporalio"}
    imported = [found for path in sources("release") for found in imports_of(path)]

    assert [f"{i.place} imports {i.module}" for i in imported if i.package in forbidden] == []


def test_workflows_import_rules_workflows_and_activities_only():
    """What decides reaches no cloud: activities are named there, and run elsewhere."""
    assert outside("workflows", {"release", "workflows", "activities"}) == []


def test_workflows_import_activities_passed_through_only():
    """Activities bring boto3 and httpx along, which the workflow sandbox must not load."""
    assert [
        found.place
        for found in own_imports("workflows")
        if found.package == "activities" and not found.passed_through
    ] == []


def test_workflow_code_itself_is_never_passed_through():
    """Pass-through switches the sandbox guard off: workflow modules are imported normally."""
    assert [
        found.place
        for found in own_imports("workflows")
        if found.package == "workflows" and found.passed_through
    ] == []


def test_activities_import_rules_and_activities_only():
    """What acts knows the rules, and neither the workflows nor the laptop."""
    assert outside("activities", {"release", "activities"}) == []


def test_the_service_imports_none_of_the_release_system():
    """The released service runs in a Lambda that has nothing of ours but its own folder."""
    assert outside("api_lambda", set()) == []


def test_the_guard_needs_nothing_but_what_lambda_brings():
    """What must work when all else is broken: no package to install, and boto3 as Lambda has it."""
    folder = ROOT / "api_lambda" / "guard"
    beside = {path.stem for path in folder.glob("*.py")}
    imported = {i.package for path in sources("api_lambda/guard") for i in imports_of(path)}

    assert imported - beside - sys.stdlib_module_names <= {"boto3", "botocore"}
    assert "app" in beside
    assert not (folder / "requirements.txt").exists()


def test_the_laptop_imports_the_rules_and_itself_only():
    """The laptop cloud is a cloud: it does not know who releases on it."""
    assert outside("infra/local", {"release", "infra"}) == []


def test_temporals_setup_is_a_program_as_the_command_line_is():
    """It connects as all do, and asks the command line for the drill's schedule."""
    assert outside("infra/temporal", {"cli", "connection", "release", "settings"}) == []


def test_the_connection_knows_neither_promotions_nor_the_command_line():
    """How a process takes part in Temporal: what is said there is others' affair."""
    allowed = {"activities", "connection", "settings", "workflows"}
    found = [i for i in own_imports("connection") if i.package in allowed - {"connection"}]

    assert outside("connection", allowed) == []
    assert {i.module for i in found if i.package in {"activities", "workflows"}} == {
        *("activities.secrets", "workflows.metrics", "workflows.versioning")
    }


def test_nothing_imports_the_programs():
    """`starter.py` and `worker.py` are ends, not libraries."""
    assert [
        f"{found.place} imports {found.module}"
        for found in own_imports("")
        if found.package in {"starter", "worker"}
    ] == []


def test_package_files_are_empty():
    """Importing a package runs nothing."""
    found = [path for path in sources() if path.name == "__init__.py"]

    assert [str(path.relative_to(ROOT)) for path in found if path.read_text()] == []


def test_workflows_read_no_clock_no_chance_and_no_environment():
    """A replayed workflow decides as it did the first time."""
    assert [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in sources("workflows")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(NOT_IN_WORKFLOWS)
    ] == []


def test_workflows_open_no_files_and_import_no_chance():
    """Neither `open` nor `random`, `os`, `time`, `uuid` or `pathlib` is within a workflow's reach.

    `workflow.now`, `workflow.random` and `workflow.uuid4` are the ones that replay.
    """
    modules = {"random", "secrets", "os", "time", "uuid", "pathlib", "socket", "subprocess"}
    found = [i for path in sources("workflows") for i in imports_of(path) if i.package in modules]
    opened = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("workflows")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "open"
    ]

    assert [f"{i.place} imports {i.module}" for i in found] == []
    assert opened == []

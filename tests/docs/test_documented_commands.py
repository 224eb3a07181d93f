"""Every command on a page is known to the parser, make or AWS, or the page says who runs it."""

import argparse
import re
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import boto3
import pytest
from botocore import xform_name

from starter import parser
from tests.docs.documented import (
    NEEDS_AN_ACCOUNT,
    PAGES,
    ROOT,
    Block,
    blocks,
    spans,
    starter_arguments,
    words,
)

SHELL = {"sh", "bash", "shell", "console"}
OTHER = {"mermaid", "toml", "json", "markdown", "python", "yaml", ""}
LIKE_A_COMMAND = re.compile(r"^\s*(\$ |starter\.py |make |aws |sam |git |curl |pip )")
# of the command line itself, not of the operation
CLI_OPTIONS = {"query", "output", "region", "profile"}
CUSTOM = {("cloudformation", "deploy")}  # the command line's own, made of several operations
SERVICES = {"deploy": "codedeploy"}
UNKNOWN = (
    "{page}: `{line}` is run by no test. Have tests/docs know it, or put above the block "
    "<!-- needs an account --> or <!-- covered by tests/… -->"
)


def id_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def problems(page: Path, text: str | None = None) -> Iterator[str]:
    """One line for each command that nobody answers for."""
    for block in blocks(page, text):
        if block.language in SHELL:
            yield from _problems(block)
        elif block.language not in OTHER:
            yield f"{block.page}: no kind of block is called {block.language!r}"
        elif not block.language and any(map(LIKE_A_COMMAND.match, block.lines)):
            yield f"{block.page}: a block of commands begins with ```sh: {block.lines[0]}"


def _problems(block: Block) -> Iterator[str]:
    if block.mark not in ("", NEEDS_AN_ACCOUNT) and not (ROOT / block.mark).exists():
        yield f"{block.page}: there is no {block.mark}"
    for line in block.commands:
        if line.startswith("#"):
            continue
        calls = starter_arguments(line)
        yield from (f"{block.page}: {slip}" for call in calls if (slip := slip_in(call)))
        try:
            problem = _aws_problem(words(line))
            known = bool(calls) or _is_known(words(line))
        except ValueError as error:
            problem, known = f"`{line}`: {error}", True
        if problem:
            yield f"{block.page}: {problem}"
        if not (block.mark or known):
            yield UNKNOWN.format(page=block.page, line=line)


def slip_in(call: list[str], partial: bool = False) -> str:
    """What the real parser says against it; of a part of a command only what is wrong in it."""

    class Refused(Exception):
        pass

    def refuse(_: argparse.ArgumentParser, message: str) -> None:
        raise Refused(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "error", refuse)
        try:
            parser().parse_args(call)
        except Refused as refusal:
            if partial and "are required" in str(refusal):
                return ""
            return f"`starter.py {' '.join(call)}`: {refusal}"
    return ""


def _is_known(found: list[str]) -> bool:
    if found[0] == "make":
        targets = takewhile(lambda word: word not in {">", "|"}, found[1:])
        plan = ["make", "--dry-run", "--silent", *targets]
        return not subprocess.run(plan, cwd=ROOT, capture_output=True, timeout=60).returncode
    if found[0].endswith("/pytest"):
        return all((ROOT / path).exists() for path in found[1:] if not path.startswith("-"))
    return False


def _aws_problem(found: list[str]) -> str:
    """What AWS's own description does not know of each `aws …` in the line."""
    for start in [number for number, word in enumerate(found) if word == "aws"]:
        service, operation = found[start + 1 : start + 3]
        if (service, operation) in CUSTOM:
            continue
        model = boto3.client(SERVICES.get(service, service), "eu-west-1").meta.service_model
        names = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in names:
            return f"`aws {service}` has no {operation}"
        members = model.operation_model(names[operation]).input_shape.members
        options = {xform_name(name, "-") for name in members} | CLI_OPTIONS
        given = {word[2:].split("=")[0] for word in found[start:] if word.startswith("--")}
        wrong = {name.removeprefix("no-") for name in given} - options - {"auto-rollback-enabled"}
        if wrong:
            return f"`aws {service} {operation}` takes no {', '.join(sorted(wrong))}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_command_of_a_page_is_known(page: Path) -> None:
    """A command that no test runs is marked as such, and has no slip in it all the same."""
    assert list(problems(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_mention_of_a_command_is_right(page: Path) -> None:
    """Also what stands in a sentence has an existing command, and options that it takes."""
    calls = [words(re.sub(r"[\[\]]", "", span.replace("…", "x"))) for span in spans(page)]

    assert [slip for call in calls if (slip := slip_in(call, partial=True))] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```sh\nrm -rf build\n```", "`rm -rf build` is run by no test"),
        ("```sh\nmake coffee\n```", "`make coffee` is run by no test"),
        ("```\nstarter.py drill\n```", "a block of commands begins with ```sh"),
        ("```sh\npython starter.py promotee main\n```", "invalid choice: 'promotee'"),
        ("<!-- needs an account -->\n```sh\naws lambda move-alias\n```", "has no move-alias"),
        ("<!-- needs an account -->\n```sh\naws lambda get-alias --nam x\n```", "takes no nam"),
        ("<!-- needs an account -->\n```sh\nx $(starter.py artifact main)\n```", "'artifact'"),
        ("<!-- covered by tests/nowhere.py -->\n```sh\nls\n```", "there is no tests/nowhere.py"),
    ],
)
def test_unknown_command_is_said(text: str, said: str) -> None:
    """A page cannot get a command that nobody answers for."""
    (problem,) = problems(ROOT / "README.md", text)

    assert said in problem


def test_marked_block_is_left_alone() -> None:
    """The mark belongs to the next block only."""
    text = "<!-- needs an account -->\n\n```sh\nsam deploy\n```\n\n```sh\nsam delete\n```"

    (problem,) = problems(ROOT / "README.md", text)

    assert "`sam delete` is run by no test" in problem

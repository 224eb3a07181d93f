"""The command line of the release system: `python starter.py --help`.

Exit codes: 0 done (a watched promotion completed) · 1 ended otherwise, or refused · 2 bad input,
nothing was started · 3 Temporal or AWS does not answer · 130 interrupted.
"""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from typing import Any


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON, for programs")
    common.add_argument(
        "--as", dest="name", metavar="NAME", default=None, help="who you are (default: your login)"
    )
    root = argparse.ArgumentParser(
        prog="starter.py",
        description="Release serverless services safely, run by Temporal.",
        epilog="exit codes: 0 done, 1 ended otherwise or refused, 2 bad input, 3 unreachable",
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    promote = command("promote", "take a commit to production")
    promote.add_argument("revision", help="full, short or symbolic revision")
    promote.add_argument("--watch", action="store_true", help="follow it until it ends")
    promote.add_argument(
        "--version", metavar="X.Y.Z", help="its version (default: the next by its commits)"
    )
    promote.add_argument(
        "--hotfix", action="store_true", help="go before others, in any window; needs --reason"
    )
    promote.add_argument("--reason", default="", help="why a hotfix goes before others")
    _clock(promote, default=None)
    status = command("status", "a promotion; without one: what is up and what production runs")
    status.add_argument("promotion", nargs="?", help="its commit or its id")
    status.add_argument("--watch", action="store_true", help="follow it until it ends")
    command("list", "every promotion that Temporal knows")
    _gates(command)
    abort = command("abort", "stop a promotion; the old version takes all traffic again")
    abort.add_argument("promotion", help="its commit or its id")
    abort.add_argument("--reason", default="")
    pause = command("pause", "hold the weight of a promotion, watched, until it is resumed")
    pause.add_argument("promotion", help="its commit or its id")
    pause.add_argument("--reason", default="")
    resume = command("resume", "let a paused promotion climb on")
    resume.add_argument("promotion", help="its commit or its id")
    finish = command("finish-now", "all traffic to the new version at once, still watched")
    finish.add_argument("promotion", help="its commit or its id")
    finish.add_argument("--reason", required=True, help="why the rest of the ladder is skipped")
    rollback = command("rollback", "put production back on an earlier release")
    rollback.add_argument(
        "--to", help="release, commit or Lambda version (default: the one before)"
    )
    rollback.add_argument("--reason", default="")
    rollback.add_argument(
        "--break-glass",
        action="store_true",
        help="straight at Lambda's aliases, with Temporal down; needs --reason",
    )
    report = command("report", "DORA's four figures, from production's record")
    report.add_argument("--since", default="90d", metavar="TIME", help="default: 90d")
    _audit(command("audit", "the whole story of a promotion, from its history alone"))
    incident = command("incident", "what happened when a release went back, and what to do next")
    incident.add_argument("promotion", help="its commit or its id")
    _lane(commands, common)
    _quarantine(commands, common)
    _keys(commands, common)
    _approvers(commands, common)
    history = command("history", "what an environment served, newest first")
    history.add_argument("--env", choices=("prod", "staging"), default="prod")
    diff = command("diff", "what one release has that another has not")
    diff.add_argument("old", help="version, for example 1.2.2")
    diff.add_argument("new", help="version, for example 1.2.3")
    _drill(command("drill", "roll back for real, on purpose, and measure how long it takes"))
    artifacts = command("artifacts", "build a first version, for an environment that has none yet")
    artifacts.add_argument("revision", help="full, short or symbolic revision")
    up = command("up", "start the laptop cloud")
    up.add_argument("--port", action="append", default=[], metavar="NAME=NUMBER")
    _clock(up, default=1.0)
    command("down", "stop the laptop cloud; running promotions go on at the next up")
    demo = command("demo", "one good and one bad release, on a laptop cloud of its own")
    demo.add_argument("--keep", action="store_true", help="leave it up afterwards")
    return root


def _gates(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    def of_promotion(name: str, text: str) -> argparse.ArgumentParser:
        found = command(name, text)
        found.add_argument("promotion", help="its commit or its id")
        return found

    of_promotion("checklist", "every item of both checklists, with its evidence")
    sign_off = of_promotion("sign-off", "answer manual checklist items: they are as they should be")
    sign_off.add_argument("item", nargs="+", help="ids of the items")
    sign_off.add_argument("--note", default="", help="what you saw")
    sign_off.add_argument("--link", default="", help="where it can be seen")
    fail = of_promotion("fail", "answer a manual checklist item: it is not as it should be")
    fail.add_argument("item", nargs=1, help="id of the item")
    fail.add_argument("--note", required=True, help="what is wrong")
    fail.add_argument("--link", default="", help="where it can be seen")
    waive = of_promotion("waive", "leave open an item that could not be measured")
    waive.add_argument("item", help="id of the item, or `infrastructure` for a refused change")
    waive.add_argument("--reason", required=True, help="why it may stay open")
    withdraw = of_promotion("withdraw", "take back a sign-off, or without item your approval")
    withdraw.add_argument("item", nargs="?", default="", help="id of the item")
    approve = of_promotion("approve", "let a release into production")
    approve.add_argument("--comment", default="")
    approve.add_argument("--digest", default="", help="of the evidence that you have seen")
    approve.add_argument(
        "--code", action="store_true", help="prove who you are: asks for your one-time code"
    )
    approve.add_argument(
        "--github-run", type=int, metavar="ID", help="count the review of this workflow run"
    )
    reject = of_promotion("reject", "refuse a release")
    reject.add_argument("--comment", default="")


def _audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("promotion", help="its commit or its id")
    audit.add_argument("--run", default="", metavar="ID", help="an earlier run (default: the last)")
    audit.add_argument("--format", choices=("text", "json", "html"), default="text")
    audit.add_argument("--output", metavar="FILE", help="write it there (default: stdout)")
    audit.add_argument(
        "--verify",
        action="store_true",
        help="check the export's hash chain, its record, and the decisions by a replay",
    )


def _lane(commands: Any, common: argparse.ArgumentParser) -> None:
    text = "who moves production, who waits and why, and what holds them"
    lane = commands.add_parser("lane", help=text, description=text, parents=[common])
    actions = lane.add_subparsers(dest="action", metavar="ACTION")
    # an option of both parsers would be reset to its default by the inner one
    both = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    both.add_argument("--json", action="store_true", help="print JSON, for programs")
    both.add_argument("--as", dest="name", metavar="NAME", help="who you are (default: your login)")
    text = "let nothing into production but rollbacks"
    freeze = actions.add_parser("freeze", help=text, description=text, parents=[both])
    freeze.add_argument("--reason", required=True, help="why")
    freeze.add_argument(
        "--until", metavar="TIME", default="", help='2h, 3d or "2030-11-30 08:00" (default: lifted)'
    )
    text = "lift the freeze"
    unfreeze = actions.add_parser("unfreeze", help=text, description=text, parents=[both])
    unfreeze.add_argument("--reason", required=True, help="why it may be lifted")


def _quarantine(commands: Any, common: argparse.ArgumentParser) -> None:
    text = "commits that were rolled back and stay out of production"
    quarantine = commands.add_parser("quarantine", help=text, description=text)
    actions = quarantine.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "every one, released ones too"
    actions.add_parser("list", help=text, description=text, parents=[common])
    text = "let a commit go to production again"
    release = actions.add_parser("release", help=text, description=text, parents=[common])
    release.add_argument("revision", help="the quarantined commit")
    release.add_argument("--reason", required=True, help="why it may")


def _keys(commands: Any, common: argparse.ArgumentParser) -> None:
    text = "API keys of the price service"
    keys = commands.add_parser("keys", help=text, description=text)
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        found: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=text, parents=[common]
        )
        found.add_argument("--environment", choices=("prod", "staging"), default="prod")
        return found

    create = action("create", "make a key; it is shown this once")
    create.add_argument("key_name", metavar="NAME", help="whose key it is")
    create.add_argument("--expires", metavar="TIME", help="for example 90d (default: never)")
    action("list", "every key with its state; the keys themselves are nowhere")
    for name, does in (("disable", "refuse a key from now on"), ("enable", "let it in again")):
        action(name, does).add_argument("key", help="its id or its name")
    rotate = action("rotate", "make a new key for an old one, which stays good for a while")
    rotate.add_argument("key", help="its id or its name")
    rotate.add_argument("--grace", metavar="TIME", default="24h", help="default: 24h")
    rotate.add_argument("--expires", metavar="TIME", help="of the new key (default: never)")


def _approvers(commands: Any, common: argparse.ArgumentParser) -> None:
    text = "one-time codes of the approvers"
    approvers = commands.add_parser("approvers", help=text, description=text)
    actions = approvers.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "make a secret for an authenticator app; it is shown this once"
    enrol = actions.add_parser("enrol", help=text, description=text, parents=[common])
    enrol.add_argument("approver", metavar="NAME")
    enrol.add_argument(
        "--replace", action="store_true", help="the old secret is worth nothing then"
    )
    text = "who has a secret"
    actions.add_parser("list", help=text, description=text, parents=[common])


def _drill(drill: argparse.ArgumentParser) -> None:
    drill.add_argument(
        "--environment", choices=("staging", "prod"), help="default: the policy's [drill]"
    )
    later = drill.add_mutually_exclusive_group()
    later.add_argument(
        "--schedule", action="store_true", help="let Temporal do it, as often as the policy says"
    )
    later.add_argument("--unschedule", action="store_true", help="no longer")


def _clock(command: argparse.ArgumentParser, default: float | None) -> None:
    command.add_argument(
        "--clock",
        type=float,
        default=default,
        metavar="FACTOR",
        help="run the ladder and its windows this many times faster",
    )


def _refuse(text: str, code: int, *, as_json: bool) -> None:
    """A line for people, always; for programs an object where they look for one."""
    print(f"error: {text}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": text, "exit_code": code}))


def main(argv: list[str]) -> int:
    """The exit code; every expected failure is one line on stderr."""
    arguments = parser().parse_args(argv)
    arguments.name = arguments.name or getpass.getuser()
    if getattr(arguments, "clock", None) is not None and not 1 <= arguments.clock <= 600:
        _refuse("--clock must lie between 1 and 600", 2, as_json=arguments.json)
        return 2
    # late: `--help` and a typing slip answer at once, without loading Temporal's SDK and boto3
    from cli import commands
    from cli.errors import INTERRUPTED, CliError

    name = {"list": "list_"}.get(arguments.command, arguments.command.replace("-", "_"))
    try:
        return int(getattr(commands, name)(arguments))
    except CliError as error:
        _refuse(str(error), error.exit_code, as_json=arguments.json)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # the SDK can crash in interpreter teardown, after the work is done (temporalio/sdk-python#300)
    os._exit(code)

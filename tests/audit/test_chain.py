"""The export's hash chain: nothing of it can be changed without being noticed."""

import base64
import copy
import json
import random
from typing import Any

import pytest

from release.audit_chain import GENESIS, Export, Kind, chain, read, to_text
from release.audit_export import export, unfounded
from tests.audit.audit_parts import promotion_of, recorded

RUN = "01a20f98-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def made() -> Export:
    """The export of a promotion that was rolled back."""
    events = recorded("rolled_back")
    return export(events, promotion_of(events), RUN)


def test_untouched_export_has_no_problems(made):
    """What was written is what is read: every link, and the same head."""
    found = read(to_text(made))

    assert found == made
    assert (found.problems, unfounded(found)) == ((), [])


def test_same_history_makes_the_same_export(made):
    """A retry writes the same bytes, so it can tell its own earlier try from another's file."""
    events = recorded("rolled_back")

    assert to_text(export(events, promotion_of(events), RUN)) == to_text(made)


def test_decisions_are_links_too(made):
    """Who approved and how it ended can be read without knowing Temporal's events."""
    said = [one["decision"] for one in made.contents(Kind.DECISION)]

    assert said == ["approval", "approval", "outcome"]
    assert made.contents(Kind.DECISION)[-1]["outcome"] == "rolled back"


def test_1000_mutations_are_all_noticed(made):
    """Any single change, deletion, insertion or swap anywhere is named as what does not hold."""
    rng = random.Random(2026)
    lines = to_text(made).splitlines()
    unnoticed, places = [], set()
    for number in range(1000):
        text, what = _mutated(rng, lines)
        assert text != to_text(made), what
        found = read(text)
        places.add(what)
        if not found.problems:
            unnoticed.append((number, what))

    assert unnoticed == []
    assert places >= {
        *("change content", "change payload", "change hash", "change prev", "change n"),
        *("change kind", "change header", "change decision", "delete line", "insert line"),
        *("swap lines", "swap fields", "cut text", "add field", "drop field", "respace"),
    }


def test_rewritten_chain_leads_to_another_head(made):
    """Whoever changes an event and makes all hashes anew gets another head than was recorded."""
    rng = random.Random(7)
    for _ in range(100):
        events = copy.deepcopy(made.contents(Kind.EVENT))
        _change_somewhere(rng, rng.choice(events))
        forged = chain(made.header, events, made.contents(Kind.DECISION))

        assert read(to_text(forged)).problems == ()
        assert forged.head != made.head


def test_decision_that_no_event_bears_out_is_noticed(made):
    """A forged approval in a chain made anew does not follow from the events beside it."""
    forged = [{"decision": "approval", "approver": "mallory"}]
    found = read(to_text(chain(made.header, made.contents(Kind.EVENT), forged)))

    assert unfounded(found) == ["its decisions do not follow from its events"]


def test_export_behind_another_is_bound_to_its_head(made):
    """A second file is no longer whole once the first one it belongs behind has changed."""
    behind = export(recorded("rejected"), "rollback/crypto-watch", RUN, genesis=made.head)

    assert read(to_text(behind), genesis=made.head).problems == ()
    assert read(to_text(behind), genesis=GENESIS).problems != ()


@pytest.mark.parametrize("text", ["", "\n", "no JSON\n", "[]\n", '{"n": 0}\n', "\x00", "{}"])
def test_what_is_no_export_is_said_to_be_none(text):
    """Garbage is a problem in words, never an exception."""
    assert read(text).problems


def _mutated(rng: random.Random, lines: list[str]) -> tuple[str, str]:
    """One change to the export's text, and what kind it is."""
    lines = list(lines)
    at = rng.randrange(len(lines))
    link = json.loads(lines[at])
    kinds = ["field", "delete line", "insert line", "swap lines", "swap fields", "cut text"]
    what = rng.choice([*kinds, "add field", "drop field", "respace", *["field"] * 8])
    if what == "field":
        what = _change_a_field(rng, lines, rng.choice([at, 0, len(lines) - 2]))
    elif what == "delete line":
        del lines[at]
    elif what == "insert line":
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif what == "swap lines":
        other = (at + rng.randrange(1, len(lines))) % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    elif what == "swap fields":
        link["hash"], link["prev"] = link["prev"], link["hash"]
        lines[at] = _line(link)
    elif what == "cut text":
        text = "\n".join(lines) + "\n"
        return text[: rng.randrange(len(text))], what
    elif what == "add field":
        rng.choice([link, link["content"]])["more"] = rng.random()
        lines[at] = _line(link)
    elif what == "drop field":
        link["content"].pop(rng.choice(list(link["content"])))
        lines[at] = _line(link)
    else:  # the same value, written another way
        lines[at] = lines[at].replace(":", ": ", 1)
    return "\n".join(lines) + "\n", what


def _change_a_field(rng: random.Random, lines: list[str], at: int) -> str:
    link = json.loads(lines[at])
    field = rng.choice(["content", "content", "content", "hash", "prev", "n", "kind"])
    if field in ("hash", "prev"):
        digits = list(link[field])
        place = rng.randrange(64)
        digits[place] = "0" if digits[place] != "0" else "1"
        link[field] = "".join(digits)
        what = f"change {field}"
    elif field == "n":
        link["n"] += rng.choice([-1, 1, 7])
        what = "change n"
    elif field == "kind":
        link["kind"] = rng.choice([kind.value for kind in Kind if kind.value != link["kind"]])
        what = "change kind"
    else:
        in_payload = _change_somewhere(rng, link["content"])
        named = {"header": "change header", "decision": "change decision"}
        what = named.get(link["kind"], "change payload" if in_payload else "change content")
    lines[at] = _line(link)
    return what


def _change_somewhere(rng: random.Random, node: Any) -> bool:
    """One leaf is another; whether it lies in a payload, whose JSON is opened and closed again."""
    leaves = list(_leaves(node))
    holder, key = rng.choice(leaves)
    value = holder[key]
    if key == "data" and isinstance(value, str):
        inner = json.loads(base64.b64decode(value) or b"null")
        inside = list(_leaves(inner))
        if inside:
            deep, name = rng.choice(inside)
            deep[name] = _other(deep[name])
        else:
            inner = _other(inner)
        holder[key] = base64.b64encode(json.dumps(inner).encode()).decode()
        return True
    holder[key] = _other(value)
    return False


def _leaves(node: Any) -> Any:
    if not isinstance(node, dict | list):
        return
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from _leaves(value)
        else:
            yield node, key


def _other(value: Any) -> Any:
    """Nearly the same value: the smallest changes are the ones that slip through."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x" if not value[-1:].isdigit() else f"{value[:-1]}{9 - int(value[-1])}"
    return "was empty" if not value else None


def _line(link: dict[str, Any]) -> str:
    return json.dumps(link, sort_keys=True, separators=(",", ":"))

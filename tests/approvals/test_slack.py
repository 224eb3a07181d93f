"""Slack's messages: within its limits, and in its own markup nothing that somebody else wrote."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.slack import MAX_BODY, MAX_HEADER, MAX_SECTION, length, slack_message


def texts(markdown: str, title: str = "t", url: str = "") -> list[str]:
    """The sections' texts."""
    blocks = slack_message(title, markdown, url)["blocks"]
    return [block["text"]["text"] for block in blocks if block["type"] == "section"]


def test_markdown_becomes_mrkdwn():
    """Headings, bold, lists, boxes and tables as Slack shows them."""
    markdown = "\n".join(
        [
            "## Request",
            "**Date**: today  ",
            "- [x] all done",
            "- [ ] not this",
            "- **Plan**: `starter.py abort`",
            "| role | needed |",
            "|---|---|",
            "| technical lead | 1 of 1 |",
            "see <https://example.org/w>",
        ]
    )

    assert texts(markdown) == [
        "*Request*\n*Date*: today\n☑ all done\n☐ not this\n• *Plan*: `starter.py abort`\n"
        "• role · needed\n\n• technical lead · 1 of 1\nsee https://example.org/w"
    ]


@pytest.mark.parametrize(
    "hostile", ["<!channel>", "<@U012AB3CD>", "<https://evil.example|click>", "&lt;!here&gt;"]
)
def test_mentions_and_links_are_text(hostile):
    """What Slack would read as a command is shown as it was written; likewise in the title."""
    message = slack_message(hostile, hostile)
    shown = [message["text"], *texts(hostile)]

    assert all("<" not in text and ">" not in text for text in shown)
    assert message["blocks"][0]["text"]["type"] == "plain_text"
    assert (message["mrkdwn"], message["link_names"]) == (False, False)
    assert all(b["text"]["verbatim"] for b in message["blocks"] if b["type"] == "section")


def test_own_address_is_the_one_link():
    """The way to act stands last."""
    assert texts("hello", url="https://example.org/w?a=1")[-1] == (
        "<https://example.org/w?a=1|Open it>"
    )


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://x|y", "https://x>y", "a b"])
def test_other_addresses_make_no_link(url):
    """An address that would break the markup is left out."""
    assert texts("hello", url=url) == ["hello"]


def test_what_is_too_long_is_cut_and_says_so():
    """The beginning stays."""
    found = texts("\n".join(f"line {number}" for number in range(5000)))

    assert found[0].startswith("line 0\n")
    assert found[-1].endswith("… shortened")


@given(
    st.text(max_size=400),
    st.text(st.characters() | st.sampled_from("&<>`\n|*"), max_size=400),
    st.integers(1, 60),
)
def test_any_text_keeps_slacks_limits(title, markdown, times):
    """Blocks, sections and header are never too long; the whole can be sent and holds no markup."""
    message = slack_message(title, markdown * times)
    header, *sections = message["blocks"]
    found = [section["text"]["text"] for section in sections]

    json.dumps(message).encode()
    assert 1 <= len(header["text"]["text"]) <= MAX_HEADER
    assert len(message["blocks"]) <= 50
    assert all(1 <= length(text) <= MAX_SECTION for text in found)
    assert sum(length(text) for text in found) <= MAX_BODY + 100
    assert not any("<" in text or ">" in text for text in (message["text"], *found))
    assert all(re.fullmatch(r"([^&]|&(amp|lt|gt);)*", text, re.S) for text in found)

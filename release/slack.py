"""A notice as Slack's incoming webhooks take it: blocks in mrkdwn that mention and link nothing."""

import re
from collections.abc import Iterator
from typing import Any

from release.text import one_line

MAX_HEADER = 150  # Slack: "Header block"
MAX_SECTION = 3000  # Slack: "Section block"
# Slack states no limit for all blocks together; about 13,200 were refused as `msg_blocks_too_long`
# (slackapi/bolt-js#2509)
MAX_BODY = 9000
_SECTION = 2900
_SHORTENED = "… shortened"
_WEB_ADDRESS = re.compile(r"https?://[^\s<>|&]{1,1000}")
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))  # Slack: "Escaping text"
_TABLE_RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")
_SIGNS = (("- [x] ", "☑ "), ("- [ ] ", "☐ "), ("- ", "• "))


def slack_message(title: str, markdown: str, url: str = "") -> dict[str, Any]:
    """The whole message, within Slack's limits; what is too long is cut and says so."""
    heading = one_line(title, MAX_HEADER) or "Release"
    sections = _sections([_line(line) for line in markdown.splitlines()])
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": False}},
        *(_section(text) for text in sections),
    ]
    if _WEB_ADDRESS.fullmatch(url):
        blocks.append(_section(f"<{url}|Open it>"))
    # what a notification shows; as plain text, in which nothing is a mention
    return {"text": escape(heading), "mrkdwn": False, "link_names": False, "blocks": blocks}


def escape(text: str) -> str:
    """The three characters that begin mentions, links and entities, made harmless."""
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return text


def length(text: str) -> int:
    """In UTF-16 units: the longest that Slack can mean by a character."""
    return len(text.encode("utf-16-le", "replace")) // 2


def _section(text: str) -> dict[str, Any]:
    # verbatim: Slack looks for no names and no addresses in it
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _line(markdown: str) -> str:
    """One line of Markdown in mrkdwn; code spans are left as they are."""
    text = markdown.rstrip().encode("utf-8", "ignore").decode()  # a lone surrogate is no text
    if _TABLE_RULE.fullmatch(text):
        return ""
    if text.startswith("|") and text.endswith("|"):
        text = "• " + " · ".join(part.strip() for part in text[1:-1].split("|"))
    if text.startswith("#"):
        text = f"**{text.lstrip('#').strip()}**"
    for sign, shown in _SIGNS:
        if text.startswith(sign):
            text = shown + text[len(sign) :]
            break
    parts = text.split("`")
    parts[::2] = [re.sub(r"<(https?://[^\s<>]+)>", r"\1", part) for part in parts[::2]]
    parts[::2] = [part.replace("**", "*") for part in parts[::2]]
    return escape("`".join(parts))


def _sections(lines: list[str]) -> list[str]:
    """The lines in as few texts as Slack takes, cut where all is too long."""
    found: list[str] = []
    whole, open_ = 0, ""
    for piece in _pieces(lines):
        if whole + length(piece) > MAX_BODY:
            open_ = f"{open_}\n{_SHORTENED}"
            break
        whole += length(piece) + 1
        if length(open_) + length(piece) + 1 > _SECTION:
            found.append(open_)
            open_ = ""
        open_ = f"{open_}\n{piece}" if open_ else piece
    return [text for text in (*found, open_) if text.strip()]


def _pieces(lines: list[str]) -> Iterator[str]:
    """The lines, of which none is longer than a section."""
    for line in lines:
        while length(line) > _SECTION:
            cut = _SECTION // 2  # characters: of which each is at most two units
            cut -= next((n for n in range(1, 6) if line[cut - n] == "&"), 0)  # no entity in half
            yield line[:cut]
            line = line[cut:]
        yield line

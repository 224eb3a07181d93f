"""The audit's page in a real browser: it asks nobody for anything, and fits where it is shown."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from cli.audit_page import page
from release.audit_story import tell
from release.promotion import Counts
from tests.audit.audit_parts import ATTACK, promote, recorded

pytestmark = pytest.mark.asyncio(loop_scope="session")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SHOW = "document.documentElement"
CONTRASTS = """() => [...document.querySelectorAll('td, p, dd, h1, .badge, summary')]
    .filter(e => e.textContent.trim())
    .map(e => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor])"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that has nothing open."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest.mark.parametrize("is_good", [True, False], ids=["completed", "rolled-back"])
async def test_page_is_quiet_and_fits_everywhere(release_system, tmp_path, is_good):
    """No request but for the file, no error, no sideways scrolling, light and dark."""
    file = tmp_path / "audit.html"
    audit = tell(await promote(release_system, is_good), "promotion/crypto-watch/aaaaaaaaaaaa")
    file.write_text(page(audit), encoding="utf-8")
    async with chromium() as browser:
        for scheme in ("light", "dark"):
            for width in (360, 1100):
                tab = await browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                asked: list[str] = []
                errors: list[str] = []
                tab.on("request", lambda request, to=asked: to.append(request.url))
                tab.on("console", lambda message, to=errors: to.append(message.text))
                tab.on("pageerror", lambda error, to=errors: to.append(str(error)))
                await tab.goto(file.as_uri())
                for details in await tab.query_selector_all("details"):
                    await details.evaluate("one => one.open = true")
                wide = await tab.evaluate(f"{SHOW}.scrollWidth")
                ink, paper = (await tab.evaluate(CONTRASTS))[0]
                await _picture(tab, f"{'good' if is_good else 'bad'}-{scheme}-{width}")

                assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
                assert errors == []
                assert wide == width
                assert (_brightness(ink) < _brightness(paper)) == (scheme == "light")
                await tab.close()


async def test_what_others_wrote_is_shown_as_text(release_system, tmp_path):
    """A commit subject or a comment that is a script is read, not run."""
    file = tmp_path / "audit.html"
    audit = tell(await promote(release_system, True), "promotion/crypto-watch/aaaaaaaaaaaa")
    file.write_text(page(audit), encoding="utf-8")
    async with chromium() as browser:
        tab = await browser.new_page()
        shown: list[str] = []
        tab.on("dialog", lambda dialog: shown.append(dialog.message))
        await tab.goto(file.as_uri())

        assert await tab.evaluate("document.scripts.length") == 0
        assert await tab.get_by_text(ATTACK).count() >= 3
        assert shown == []


@pytest.mark.parametrize(
    "name",
    [
        *("completed", "needs_fix", "rejected", "expired", "superseded", "rolled_back", "aborted"),
        *("cancelled", "failed"),
    ],
)
async def test_every_way_to_end_has_a_page(name):
    """Whatever was not reached is left out or said; every tag that is opened is closed."""
    text = page(tell(recorded(name), "promotion/crypto-watch/aaaaaaaaaaaa"))

    for tag in ("section", "table", "tr", "td", "div", "span", "details", "bdi", "figure"):
        assert len(re.findall(f"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag
    assert "None" not in re.sub(r"None were|<pre>.*</pre>", "", text)


async def test_slow_requests_are_drawn_where_they_were_counted():
    """Beside the failed ones; of a history without them nothing is made up."""
    audit = tell(recorded("completed"), "promotion/crypto-watch/aaaaaaaaaaaa")
    assert "Slow requests" not in page(audit)

    counted = {"slow_canary": Counts(requests=50, failures=10), "slow_baseline": Counts(requests=9)}
    rungs = tuple(
        rung.model_copy(update={"judgement": rung.judgement.model_copy(update=counted)})
        for rung in audit.rungs
    )
    text = page(audit.model_copy(update={"rungs": rungs}))

    assert "Slow requests" in text
    assert "new 20 % of 50, old 0 % of 9" in text


async def _picture(tab, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):  # to look at
        await tab.screenshot(path=str(Path(folder) / f"audit-{name}.png"), full_page=True)
        (Path(folder) / f"audit-{name}.html").write_text(await tab.content())


def _brightness(colour: str) -> float:
    """Of a colour as the browser names it, `rgb(1, 2, 3)`."""
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3])

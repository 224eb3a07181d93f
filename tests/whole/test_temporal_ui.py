"""The real Temporal UI in a real browser: what a lead sees, and what a lead sends."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from release.promotion import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest_asyncio.fixture(loop_scope="session")
async def page(laptop, promotion) -> AsyncIterator[Page]:
    """The promotion's page."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 1250})
        escaped = promotion.identity.replace("/", "%2F")
        ui = laptop.state.addresses.temporal_ui
        page.address = f"{ui}/namespaces/default/workflows/{escaped}"
        await page.goto(page.address)
        yield page
        await browser.close()


async def open_details(page: Page, address: str) -> None:
    """The tab with the promotion's own words, as they are now: it is read when the page loads."""
    await page.goto("about:blank")
    await page.goto(address)
    await page.get_by_role("tab", name="User Metadata").click()


async def send_signal(page: Page, name: str, payload: str) -> None:
    """The signal form, filled as a person fills it, and sent."""
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_text("Send a Signal").locator("visible=true").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_test_id("signal-select-button").click()
    await dialog.get_by_role("option").filter(has=page.get_by_text(name, exact=True)).click()
    if payload:
        data = dialog.get_by_role("textbox", name="Data")
        await data.click()
        await page.keyboard.insert_text(payload)
        await dialog.get_by_text("Encoding").click()  # leaving the box formats it, once
    await dialog.get_by_role("button", name="Submit").click()
    await dialog.wait_for(state="hidden")


def _voters(status) -> list[str]:
    return [vote.approver for vote in status.votes]


async def test_approval_by_the_form_goes_on_and_an_empty_form_is_survived(page, promotion):
    """An empty `approve` is refused in plain sight; the right one lets the promotion go on."""
    await promotion.sign_off()
    await promotion.until(lambda status: status.stage is Stage.APPROVAL)

    address = page.address
    await send_signal(page, "approve", "")
    status = await promotion.until(lambda status: any(not r.accepted for r in status.inbox))
    assert status.stage is Stage.APPROVAL
    await open_details(page, address)
    details = page.frame_locator("iframe").last
    await details.get_by_text("To decide").first.wait_for()
    await details.get_by_text("Production Deployment Request").first.wait_for()
    await details.get_by_text("Rate limiting enforces limits correctly").first.wait_for()
    await details.get_by_text("empty payload; send").first.wait_for()
    if folder := os.environ.get("SCREENSHOTS"):  # for the documentation
        await page.screenshot(path=f"{folder}/temporal-ui-approval.png", full_page=True)

    for name in ("alice", "bob"):
        await open_details(page, address)  # anew: the form keeps what was typed into it before
        payload = f'{{"approver": "{name}", "comment": "from the UI"}}'
        await send_signal(page, "approve", payload)
        await promotion.until(lambda status, name=name: name in _voters(status))
    await promotion.until(lambda status: status.weight > 0)
    if folder:
        await open_details(page, address)
        await page.frame_locator("iframe").last.get_by_text("watching").first.wait_for()
        await page.screenshot(path=f"{folder}/temporal-ui.png", full_page=True)

    await promotion.abort()

"""The codec server: the Temporal UI shows in clear what the server keeps encrypted."""

import asyncio
import os
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson, Parse
from playwright.async_api import async_playwright
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.testing import WorkflowEnvironment

from connection.converter import data_converter
from infra.local.free_ports import settle
from infra.local.settings import Ports
from settings import TemporalSettings
from tests.connection.conftest import encrypted

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROOT = Path(__file__).parents[2]
UI = "http://ui.example"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def server(keys) -> Iterator[str]:
    """The codec server's address; it answers the pages of `UI`."""
    with running(keys, UI) as address:
        yield address


class running:  # noqa: N801  a context manager, read as a word
    """The codec server as a process of its own."""

    def __init__(self, keys, *uis: str) -> None:
        self.command = [sys.executable, "-m", "connection.codec_server", "--port=0"]
        self.command += [f"--ui={ui}" for ui in uis]
        self.environment = {"PATH": os.environ["PATH"], **keys.environment}

    def __enter__(self) -> str:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("codec server ready at "), line
        return line.split()[-1]

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


async def test_payloads_go_there_and_back(server, keys):
    """What it encodes the worker reads; what the worker encodes it reads."""
    codec = data_converter(TemporalSettings.from_environment()).payload_codec
    plain = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"okapi"')])
    async with httpx.AsyncClient(base_url=server, headers={"Origin": UI}) as http:
        encoded = await http.post("/encode", content=MessageToJson(plain))
        sealed = Parse(encoded.text, Payloads())
        assert await codec.decode(sealed.payloads) == list(plain.payloads)
        decoded = await http.post("/decode?preserveStorageRefs=true", content=encoded.text)

    assert "okapi" not in encoded.text
    assert Parse(decoded.text, Payloads()) == plain
    assert decoded.headers["Access-Control-Allow-Origin"] == UI


async def test_other_pages_are_refused(server):
    """A page that the person happens to have open reads nothing."""
    async with httpx.AsyncClient(base_url=server) as http:
        for origin in ("http://evil.example", "null", UI + ".evil.example"):
            for method, path in (("POST", "/decode"), ("POST", "/encode"), ("OPTIONS", "/decode")):
                answer = await http.request(method, path, headers={"Origin": origin}, content="{}")
                assert answer.status_code == 403
                assert "Access-Control-Allow-Origin" not in answer.headers


async def test_preflight_of_the_ui_is_answered(server):
    """A browser asks first whether it may; for Temporal's UI it may."""
    answer = await asyncio.to_thread(httpx.options, f"{server}/decode", headers={"Origin": UI})

    assert answer.status_code == 204
    assert "X-Namespace" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/decode", "no json", 400),
        ("/decode", '{"payloads": 1}', 400),
        ("/decode", '{"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}}]}', 422),
        ("/other", "{}", 404),
    ],
)
async def test_nonsense_is_refused_and_survived(server, path, body, status):
    """One bad request is answered with its reason, and the next is served."""
    bad = await asyncio.to_thread(httpx.post, server + path, content=body)
    good = await asyncio.to_thread(httpx.post, server + "/decode", content="{}")

    assert bad.status_code == status
    assert bad.text
    assert good.status_code == 200


@pytest_asyncio.fixture(loop_scope="session")
async def with_ui(keys) -> AsyncIterator[tuple[WorkflowEnvironment, str]]:
    """A dev server whose UI asks a codec server; and the UI's address."""
    ports = settle(Ports(**dict.fromkeys(Ports.model_fields, 0)), frozenset())
    ui = f"http://localhost:{ports.temporal_ui}"
    with running(keys, ui, f"http://127.0.0.1:{ports.temporal_ui}") as codec:
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
            dev_server_log_level="error",
            ui=True,
            ui_port=ports.temporal_ui,
            dev_server_extra_args=["--ui-disable-news-fetch", f"--ui-codec-endpoint={codec}"],
        ) as environment:
            yield environment, ui


async def test_temporal_ui_shows_what_the_server_cannot_read(with_ui):
    """In a real browser: the input of a workflow, in clear."""
    environment, ui = with_ui
    await encrypted(environment.client).start_workflow(
        "AnyWorkflow",
        "the okapi is in the garden",
        id="sealed",
        task_queue=uuid.uuid4().hex,
    )
    history = await environment.client.get_workflow_handle("sealed").fetch_history()
    assert "okapi" not in str([event.SerializeToString() for event in history.events])

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        page = await browser.new_page(viewport={"width": 1400, "height": 1000})
        await page.goto(f"{ui}/namespaces/default/workflows/sealed")
        try:
            await page.get_by_text("the okapi is in the garden").first.wait_for(timeout=20_000)
        finally:
            if folder := os.environ.get("SCREENSHOTS"):
                await page.screenshot(path=f"{folder}/codec.png", full_page=True)
            await browser.close()

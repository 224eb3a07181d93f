"""`python worker.py` as an operator meets it: it works, it ends in order, or it says what to do."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from tests.connection.refusing_server import refusing
from tests.connection.test_telemetry import free_port

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
EXPIRED = {"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=2)}

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextmanager
def worker(**environment: str) -> Iterator[subprocess.Popen[str]]:
    """The process, with no AWS within its reach and no settings but these."""
    known = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
    }
    process = subprocess.Popen(
        [sys.executable, "worker.py"],
        cwd=ROOT,
        env=known | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(**environment: str) -> str:
    """The one line with which the worker refuses to work."""
    with worker(**environment) as process:
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output == ""
    [line] = errors.splitlines()
    return line


@contextmanager
def tls_server(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> Iterator[str]:
    """Something that speaks TLS, and no more; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.set_alpn_protocols(["h2"])
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                context.wrap_socket(listener.accept()[0], server_side=True).close()
            except OSError:
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    address = listener.getsockname()
    yield f"127.0.0.1:{address[1]}"
    over.set()
    socket.create_connection(address).close()
    thread.join()
    listener.close()


async def test_worker_is_a_build_serves_metrics_and_ends_in_order(temporal):
    """With all settings it works; SIGTERM ends it, and that is no failure."""
    metrics = f"127.0.0.1:{free_port()}"
    address = temporal.client.service_client.config.target_host
    with worker(
        TEMPORAL_ADDRESS=address, RELEASE_BUILD_ID="aaaa", RELEASE_METRICS_ADDRESS=metrics
    ) as process:
        assert process.stdout.readline() == "worker ready\n"
        found = (await asyncio.to_thread(httpx.get, f"http://{metrics}/metrics")).text
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 0, errors
    assert "temporal_worker_task_slots_available" in found


async def test_no_server_is_said_in_one_line():
    """Which address did not answer, and which setting names it."""
    line = said(TEMPORAL_ADDRESS="127.0.0.1:9")

    assert line.startswith("the worker cannot work: Temporal at 127.0.0.1:9: nothing listens")
    assert "TEMPORAL_ADDRESS" in line


async def test_missing_namespace_is_said_in_one_line(temporal):
    """And how to make it."""
    line = said(
        TEMPORAL_ADDRESS=temporal.client.service_client.config.target_host,
        TEMPORAL_NAMESPACE="nowhere",
    )

    assert "there is no namespace nowhere" in line
    assert "infra.temporal.setup" in line


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (16, "Jwt is Expired", "it does not take this API key"),
        (7, "Request unauthorized.", "may not work in that namespace"),
    ],
)
async def test_refused_key_is_said_in_one_line(status, message, advice):
    """A key that has expired, or is for another namespace, is told from a server that is down."""
    with refusing(status, message) as address:
        line = said(TEMPORAL_ADDRESS=address)

    assert advice in line


async def test_missing_profile_is_said_in_one_line():
    """A typing error in the profile's name is no crash."""
    assert "Profile 'staging' not found" in said(TEMPORAL_PROFILE="staging")


async def test_missing_certificate_file_is_said_in_one_line():
    """It names the file."""
    line = said(
        TEMPORAL_TLS_CLIENT_CERT_PATH="/nowhere/cert.pem",
        TEMPORAL_TLS_CLIENT_KEY_PATH="/nowhere/key.pem",
    )

    assert "/nowhere/cert.pem" in line


async def test_own_expired_certificate_is_named(tmp_path):
    """The server only hangs up; the worker looks at its certificate itself."""
    ca = trustme.CA()
    mine = ca.issue_cert("worker", **EXPIRED)
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")

    with tls_server(ca.issue_cert("127.0.0.1"), clients=ca) as address:
        line = said(
            TEMPORAL_ADDRESS=address,
            TEMPORAL_TLS_CLIENT_CERT_PATH=str(tmp_path / "cert.pem"),
            TEMPORAL_TLS_CLIENT_KEY_PATH=str(tmp_path / "key.pem"),
            TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(tmp_path / "ca.pem"),
        )

    assert f"client certificate has expired on {EXPIRED['not_after']:%Y-%m-%d}" in line


@pytest.mark.parametrize(
    ("lifetime", "trusted", "advice"),
    [
        (EXPIRED, True, "the server's certificate has expired"),
        ({}, False, "set TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
    ],
)
async def test_server_that_cannot_be_trusted_is_said(tmp_path, lifetime, trusted, advice):
    """An expired server certificate, and one by an authority that nobody named."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    trust = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(tmp_path / "ca.pem")} if trusted else {}
    with tls_server(ca.issue_cert("127.0.0.1", **lifetime)) as address:
        line = said(TEMPORAL_ADDRESS=address, TEMPORAL_TLS="true", **trust)

    assert advice in line


async def test_keys_that_cannot_be_read_are_said_in_one_line():
    """A worker that should encrypt and cannot does not start without."""
    line = said(RELEASE_PAYLOAD_KEY_SECRET="release/keys", AWS_MAX_ATTEMPTS="1")

    assert "the payload keys in the secret release/keys" in line

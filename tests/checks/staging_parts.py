"""A staging environment of the real service, and ways to bend one thing of it."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from temporalio.testing import ActivityEnvironment

from activities.aws import AwsClients
from activities.checks.context import Patience
from activities.checks.staging_checks import StagingChecks
from activities.inputs import ChecksInput
from activities.staging import Staging
from release.checklist import Limits
from release.verdict import CheckResult, Verdict

IMPATIENT = Patience(logs=timedelta(0), metrics=timedelta(0), fetch=timedelta(0))


@dataclass(frozen=True)
class Cloud:
    """Staging and production on a laptop cloud, both serving the same commit of a clone."""

    url: str
    repository: Path
    aws: AwsClients
    order: ChecksInput

    def check(self, *names: str, **given: Any) -> dict[str, CheckResult]:
        """The named checks' results, by name."""
        limits = self.order.limits.model_copy(update=given.pop("limits", {}))
        update = {"checks": names, "limits": limits, **given.pop("order", {})}
        order = self.order.model_copy(update=update)
        aws = replace(self.aws, **given.pop("clients", {}))
        url = given.pop("url", None)
        staging = Staging(aws.ssm, aws.secrets) if url is None else At(url, aws.secrets)
        checks = StagingChecks(
            staging, aws, self.repository, given.pop("patience", Patience(fetch=timedelta(0)))
        )
        assert not given
        return {r.id: r for r in ActivityEnvironment().run(checks.check_staging, order)}

    def failed(self, name: str, **given: Any) -> str:
        """The evidence of a check that has to fail."""
        result = self.check(name, **given)[name]
        assert result.verdict is Verdict.FAILED, result
        return result.evidence

    def passed(self, name: str, **given: Any) -> str:
        """The evidence of a check that has to pass."""
        result = self.check(name, **given)[name]
        assert result.verdict is Verdict.PASSED, result
        return result.evidence

    def git(self, *arguments: str) -> str:
        """What git says in the clone."""
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, text: str) -> str:
        """A new commit on top of the clone's, with one file changed; its sha."""
        (self.repository / path).write_text(text)
        self.git("commit", "--quiet", "--all", "--message", f"test: another {path}")
        sha = self.git("rev-parse", "HEAD")
        self.git("reset", "--quiet", "--hard", "HEAD~1")
        return sha


class At(Staging):
    """Staging at another address, with staging's own keys."""

    def __init__(self, url: str, secrets: Any) -> None:
        super().__init__(self, secrets)
        self._url = url

    def get_parameter(self, **_: str) -> dict[str, Any]:
        """What SSM would answer."""
        return {"Parameter": {"Value": self._url}}


Answer = tuple[int, dict[str, str], bytes]
Serve = Callable[[BaseHTTPRequestHandler], Answer]
Bend = Callable[[str, httpx.Response], Answer | None]


@contextmanager
def server(serve: Serve) -> Iterator[str]:
    """The URL of a loopback server that answers GET and POST by `serve`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and content in one packet: two would wait for each other

        def do_GET(self) -> None:
            status, headers, content = serve(self)
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@contextmanager
def bent(url: str, bend: Bend) -> Iterator[str]:
    """The URL of the service at `url`, whose answers `bend` may replace by path."""
    with httpx.Client(base_url=url) as client:

        def serve(request: BaseHTTPRequestHandler) -> Answer:
            kept = {
                name: value
                for name, value in request.headers.items()
                if name.lower() in {"x-api-key", "if-none-match"}
            }
            answer = client.request(
                request.command, request.path, headers=kept | {"accept-encoding": "identity"}
            )
            return bend(request.path, answer) or plain(answer)

        with server(serve) as bent_url:
            yield bent_url


def plain(answer: httpx.Response, content: bytes | None = None, **headers: str) -> Answer:
    """The answer as it was, but for what is given."""
    found = {
        k: v for k, v in answer.headers.items() if k not in {"content-length", "server", "date"}
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer.status_code, found | given, answer.content if content is None else content


def changed(answer: httpx.Response, change: Callable[[Any], None]) -> Answer:
    """The answer with its JSON changed in place."""
    document = json.loads(answer.content)
    change(document)
    return plain(answer, json.dumps(document).encode())


def limits(**given: Any) -> Limits:
    """The policy's limits, with fewer requests behind each p99."""
    return Limits(**{"requests": 60, **given})

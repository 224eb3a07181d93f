"""A GitHub for one repository: real HTTP, real git below it, the rest in memory.

Every body that it is sent is held to GitHub's own published description.
"""

import base64
import json
import re
import subprocess
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft202012Validator

from tests.github.github_parts import DESCRIPTION

REPO = "/repos/{owner}/{repo}"
Answer = tuple[int, Any]


@cache
def described() -> dict[str, Any]:
    """Every path of GitHub's description."""
    paths: dict[str, Any] = json.loads(DESCRIPTION.read_text())["paths"]
    return paths


class FakeGitHub:
    """`o/r`, whose git is a bare repository in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pulls: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.issues: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.broken: list[str] = []
        self.lose_answer_to: str = ""
        self.status_of: dict[str, Answer] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "FakeGitHub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def git(self, *arguments: str, stdin: str = "") -> str | None:
        """git's answer, or None if it says no."""
        identity = ("-c", "user.name=app", "-c", "user.email=app@example.org")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """What GitHub would say; `path` is below the repository."""
        if method == "GET" and (found := re.fullmatch(r"git/ref/(.+)", path)):
            return self._ref(unquote(found[1]))
        if method == "GET" and (found := re.fullmatch(r"git/tags/(\w+)", path)):
            target = (self.git("cat-file", "tag", found[1]) or "").split()[1]
            return 200, {"sha": found[1], "object": {"sha": target, "type": "commit"}}
        if method == "GET" and path == "contents/CHANGELOG.md":
            return self._file(query["ref"])
        if method == "GET" and path == "pulls":
            mine = [p for p in self.pulls if p["base"] == query["base"] and p["in"](query["state"])]
            return 200, [self._shown(p) for p in mine if f"o:{p['head']}" == query["head"]]
        if method == "GET" and path == "deployments":
            same = ("sha", "environment")
            return 200, [d for d in self.deployments if all(d[k] == query[k] for k in same)]
        if method == "GET" and path.endswith("/statuses"):
            return 200, self.statuses.get(path, [])
        if method == "GET" and path == "issues":
            return 200, self.issues[::-1]
        return self._make(method, path, body)

    def _make(self, method: str, path: str, body: Any) -> Answer:
        if path == "git/tags":
            text = f"object {body['object']}\ntype {body['type']}\ntag {body['tag']}\n"
            text += f"tagger app <app@example.org> 1 +0000\n\n{body['message']}\n"
            sha = (self.git("mktag", stdin=text) or "").strip()
            return 201, {"sha": sha, "object": {"sha": body["object"], "type": "commit"}}
        if path == "git/refs":
            if self.git("cat-file", "-e", body["sha"]) is None:
                return 422, {"message": "Object does not exist"}
            if self.git("update-ref", body["ref"], body["sha"], "") is None:
                return 422, {"message": "Reference already exists"}
            return 201, self._ref(body["ref"].removeprefix("refs/"))[1]
        if method == "PUT" and path == "contents/CHANGELOG.md":
            return self._put(body)
        if path == "pulls":
            if any(p["head"] == body["head"] and p["state"] == "open" for p in self.pulls):
                text = f"A pull request already exists for o:{body['head']}."
                return 422, {"message": "Validation Failed", "errors": [{"message": text}]}
            pull = {**body, "state": "open", "html_url": f"{self.url}/o/r/pull/1"}
            pull["in"] = lambda state: state in ("all", pull["state"])
            self.pulls.append(pull)
            return 201, self._shown(pull)
        if path == "deployments":
            made = {**body, "id": len(self.deployments) + 1, "sha": body["ref"]}
            self.deployments.append(made)
            return 201, made
        if path.endswith("/statuses"):
            status = {**body, "id": 1}
            self.statuses.setdefault(path, []).append(status)
            return 201, status
        issue = {**body, "html_url": f"{self.url}/o/r/issues/{len(self.issues) + 1}"}
        self.issues.append(issue)
        return 201, issue

    @staticmethod
    def _shown(pull: dict[str, Any]) -> dict[str, Any]:
        return {"html_url": pull["html_url"], "state": pull["state"]}

    def _ref(self, ref: str) -> Answer:
        sha = self.git("rev-parse", "--verify", "--quiet", f"refs/{ref}")
        if sha is None:
            return 404, {"message": "Not Found"}
        kind = (self.git("cat-file", "-t", sha.strip()) or "").strip()
        return 200, {"ref": f"refs/{ref}", "object": {"sha": sha.strip(), "type": kind}}

    def _file(self, ref: str) -> Answer:
        sha = self.git("rev-parse", "--verify", "--quiet", f"{ref}:CHANGELOG.md")
        if sha is None:
            return 404, {"message": "Not Found"}
        data = subprocess.run(
            ["git", "-C", str(self.folder), "cat-file", "blob", sha.strip()], capture_output=True
        ).stdout
        content = base64.encodebytes(data).decode()  # in lines, as GitHub's
        return 200, {"sha": sha.strip(), "encoding": "base64", "content": content}

    def _put(self, body: Any) -> Answer:
        if self._file(body["branch"])[1]["sha"] != body["sha"]:
            return 409, {"message": f"CHANGELOG.md does not match {body['sha']}"}
        index = self.folder / "put-index"
        data = base64.b64decode(body["content"])
        tree = subprocess.run(
            ["sh", "-c", PUT, "sh", body["branch"], body["message"]],
            cwd=self.folder,
            env={"GIT_INDEX_FILE": str(index), "PATH": "/usr/bin:/bin:/usr/local/bin"},
            input=data,
            capture_output=True,
            check=True,
        )
        return 200, {"content": None, "commit": {"sha": tree.stdout.decode().strip()}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                path = url.path.removeprefix("/repos/o/r/")
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                body = json.loads(raw) if raw else None
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                call = f"{self.command} {path}"
                outer.asked.append(call)
                outer.hold(self.command, path, query, body)
                if call in outer.status_of:
                    status, answer = outer.status_of[call]
                else:
                    status, answer = outer.answer(self.command, path, query, body)
                if call == outer.lose_answer_to:
                    outer.lose_answer_to = ""
                    self.close_connection = True
                    return
                sent = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_POST = do_PUT = do_GET  # noqa: N815 the base class's naming

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler

    def hold(self, method: str, path: str, query: dict[str, str], body: Any) -> None:
        """A request that GitHub's description does not allow is written down."""
        for template, methods in described().items():
            if not template.startswith(f"{REPO}/") or method.lower() not in methods:
                continue
            pattern = re.sub(r"\{\w+\}", "[^/]+", template.removeprefix(f"{REPO}/"))
            if re.fullmatch(pattern, path):
                call = methods[method.lower()]
                break
        else:
            self.broken.append(f"GitHub has no {method} {path}")
            return
        if body is not None:
            schema = call["requestBody"]["content"]["application/json"]["schema"]
            # unknown fields GitHub would overlook: the mistake would be ours
            closed = {**schema, "additionalProperties": False}
            self.broken += [str(e) for e in Draft202012Validator(closed).iter_errors(body)]


PUT = """
set -e
export GIT_AUTHOR_NAME=app GIT_AUTHOR_EMAIL=app@x GIT_COMMITTER_NAME=app GIT_COMMITTER_EMAIL=app@x
blob=$(git hash-object -w --stdin)
git read-tree "$1"
git update-index --cacheinfo "100644,$blob,CHANGELOG.md"
commit=$(git commit-tree "$(git write-tree)" -p "$1" -m "$2")
git update-ref "refs/heads/$1" "$commit"
echo "$commit"
"""

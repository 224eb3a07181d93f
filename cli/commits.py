"""Commits: which one is meant, whether it may be promoted, and what it brings."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError
from release.policy import Policy, PolicyError, parse_policy
from release.version import next_version


class AlreadyLive(CliError):
    """Production runs the commit; its promotion may still be watching it."""


@dataclass(frozen=True)
class Commits:
    """The repository that is released from, and the branch whose commits may be promoted."""

    repository: Path
    branch: str

    def resolve(self, revision: str) -> str:
        """The full sha of a full, short or symbolic revision."""
        if revision.startswith("-"):
            raise CliError(f"{revision!r} is not a revision")
        found = self._git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if found is None:
            raise CliError(f"no commit {revision!r} in {self.repository}; fetch it first?")
        return found

    def check_on_branch(self, sha: str) -> None:
        """The commit is on the branch whose commits may be promoted."""
        if self._git("rev-parse", "--verify", "--quiet", self.branch) is None:
            raise CliError(f"no branch {self.branch!r} in {self.repository}; set RELEASE_BRANCH")
        if not self._is_ancestor(sha, self.branch):
            raise CliError(f"{sha[:12]} is not on {self.branch}; merge it first")

    def check_not_behind(self, sha: str, live: str) -> None:
        """The commit is not what production runs, nor behind it; a `live` unknown here passes."""
        if self._git("cat-file", "-e", f"{live}^{{commit}}") is None:
            return
        if sha == live:
            raise AlreadyLive(f"production runs {sha[:12]} already")
        if self._is_ancestor(sha, live):
            raise CliError(
                f"{sha[:12]} is behind what production runs ({live[:12]}); "
                "to go back use `starter.py rollback`, or revert and promote the revert"
            )

    def policy(self, sha: str) -> Policy:
        """The policy that stands in the commit, whose functions it can build."""
        text = self._git("show", f"{sha}:release.toml")
        if text is None:
            raise CliError(f"{sha[:12]} has no build: there is no release.toml in it")
        try:
            policy = parse_policy(text)
        except PolicyError as error:
            raise CliError(str(error)) from error
        for name, function in policy.functions.items():
            if self._git("cat-file", "-e", f"{sha}:{function.source}/app.py") is None:
                raise CliError(
                    f"{sha[:12]} has no build: [functions.{name}] names {function.source}, "
                    "where there is no app.py"
                )
        return policy

    def version(self, sha: str) -> str:
        """The next version, by the commits since the last tag."""
        tag = self._git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", sha)
        if tag is not None and not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
            tag = None
        span = f"{tag}..{sha}" if tag else sha
        log = self._git("log", "--format=%B%x00", span) or ""
        messages = [message.strip() for message in log.split("\0") if message.strip()]
        return next_version(tag, messages, sha)

    def changes(self, sha: str, live: str | None) -> tuple[str, ...]:
        """Subjects of the commits that production does not have yet, newest first."""
        log = self._git("log", "--format=%s", "--max-count=50", self._new(sha, live)) or ""
        return tuple(line for line in log.splitlines() if line)

    def authors(self, sha: str, live: str | None, policy: Policy) -> tuple[str, ...]:
        """Who wrote these commits, as the roles name them; others by their e-mail's name."""
        log = self._git("log", "--format=%ae%x00%an", self._new(sha, live)) or ""
        people = {name for role in policy.approval.roles.values() for name in role.people}
        found = set()
        for line in log.splitlines():
            email, _, name = line.partition("\0")
            mailbox = email.partition("@")[0]
            known = [n for n in (policy.approval.emails.get(email), name, mailbox) if n in people]
            found.add(known[0] if known else mailbox)
        return tuple(sorted(found))

    def in_order(self, versions: dict[str, str]) -> dict[str, str]:
        """Number → "<release> <sha>", ordered by the commits; as given if git lacks one of them.

        A version that was built again has a higher number than the releases after it.
        """
        shas = {text.partition(" ")[2] for text in versions.values()}
        if not all(re.fullmatch(r"[0-9a-f]{40}", sha) for sha in shas):
            return versions
        log = self._git("rev-list", "--topo-order", "--reverse", "--ignore-missing", *sorted(shas))
        place = {sha: number for number, sha in enumerate((log or "").split())}
        if not shas <= place.keys():
            return versions
        return dict(sorted(versions.items(), key=lambda known: place[known[1].partition(" ")[2]]))

    def _new(self, sha: str, live: str | None) -> str:
        known = live is not None and self._git("cat-file", "-e", f"{live}^{{commit}}") is not None
        return f"{live}..{sha}" if known else f"{sha}~1..{sha}"

    def _is_ancestor(self, sha: str, of: str) -> bool:
        return self._git("merge-base", "--is-ancestor", sha, of) is not None

    def _git(self, *arguments: str) -> str | None:
        """git's answer, or None when it said no."""
        command = ["git", "-C", str(self.repository), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
        if "not a git repository" in done.stderr:
            raise CliError(f"{self.repository} is not a git repository; set RELEASE_REPOSITORY")
        return done.stdout.strip() if done.returncode == 0 else None

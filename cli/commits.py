"""Commits: which one is meant, whether it may be promoted, and what it brings."""

import re
import subprocess
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.errors import CliError
from release.policy import Policy, PolicyError, parse_policy
from release.version import next_version

_TAG = re.compile(r"v\d+\.\d+\.\d+")


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
        if not self.is_ancestor(sha, self.branch):
            raise CliError(f"{sha[:12]} is not on {self.branch}; merge it first")

    def check_not_behind(self, sha: str, live: str) -> None:
        """The commit is not what production runs, nor behind it; a `live` unknown here passes."""
        if self._git("cat-file", "-e", f"{live}^{{commit}}") is None:
            return
        if sha == live:
            raise AlreadyLive(f"production runs {sha[:12]} already")
        if self.is_ancestor(sha, live):
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

    def template(self, sha: str, policy: Policy) -> str:
        """The commit's template of an environment's stack."""
        named = policy.infrastructure.template if policy.infrastructure else "infra/template.yaml"
        text = self._git("show", f"{sha}:{named}")
        if text is None:
            missing = f"{named} is missing in {sha[:12]}"
            raise CliError(f"{missing}: a service brings its own (docs/another-service.md)")
        return text

    def version(self, sha: str) -> str:
        """The commit's own tag, or the next version by the commits since the last one."""
        own = [version for version, commit in self.tags() if commit == sha]
        if own:
            return own[0]
        tag = self.last_tag(sha)
        log = self._git("log", "--format=%B%x00", f"{tag}..{sha}" if tag else sha) or ""
        messages = [message.strip() for message in log.split("\0") if message.strip()]
        return next_version(tag, messages)

    def last_tag(self, sha: str) -> str | None:
        """The newest release's tag that the commit contains."""
        tag = self._git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", sha)
        return tag if tag is not None and _TAG.fullmatch(tag) else None

    def tags(self) -> list[tuple[str, str]]:
        """Version and commit of every release's tag."""
        form = "%(refname:strip=2) %(objectname) %(*objectname)"  # the last is a note's commit
        log = self._git("for-each-ref", f"--format={form}", "refs/tags/v*") or ""
        found = [line.split() for line in log.splitlines()]
        return [(words[0][1:], words[-1]) for words in found if _TAG.fullmatch(words[0])]

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

    def find_release(self, wanted: str) -> str | None:
        """The commit of a release's tag, with or without its `v`, or of a revision."""
        if wanted.startswith("-") or (wanted.isdigit() and len(wanted) < 7):
            return None  # an option; or a Lambda version's number, which names no commit
        for name in (f"refs/tags/v{wanted}", f"refs/tags/{wanted}", wanted):
            found = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            if found is not None:
                return found
        return None

    def sources(self, sha: str) -> dict[str, str] | None:
        """Function → its folder, as the commit has it; None if git lacks it, or a build in it.

        The rest of its policy is not read: what was valid then need not be so today.
        """
        text = self._git("show", f"{sha}:release.toml")
        if text is None:
            return None
        try:
            functions = tomllib.loads(text)["functions"]
            return {str(name): str(function["source"]) for name, function in functions.items()}
        except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
            return None

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

    def committed(self, shas: Collection[str]) -> dict[str, datetime]:
        """When each commit was made; one that git lacks is left out."""
        if not shas:
            return {}
        form = "--format=%H %ct"
        log = self._git("log", "--no-walk", "--ignore-missing", form, *sorted(shas)) or ""
        pairs = (line.split() for line in log.splitlines())
        return {sha: datetime.fromtimestamp(int(seconds), UTC) for sha, seconds in pairs}

    def is_ancestor(self, sha: str, of: str) -> bool:
        """Whether the one commit leads to the other; False where git does not know both."""
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

"""A checkout of one commit, apart from the repository it comes from."""

import os
import subprocess
from pathlib import Path

from temporalio.exceptions import ApplicationError

_SECONDS = 120
_QUIET = {
    # no hook, filter or line ending of this machine's: the commit as it is
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def check_out(repository: Path, sha: str, folder: Path) -> None:
    """`folder` is a repository of its own with the commit in it, whole and unchanged.

    It borrows the objects and knows no remote: what runs in it cannot push, and neither the
    working tree nor the branches of `repository` are read or written.

    Raises:
        ApplicationError: not retryable when there is no such commit.
    """
    # asked with the person's configuration, which may say that this repository is to be trusted
    commit = _git(repository, {}, "rev-parse", "--verify", f"{sha}^{{commit}}")
    shared = _git(repository, {}, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    _git(folder, _QUIET, "init", "--quiet", "--template=")
    alternates = folder / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{shared}\n")
    _git(folder, _QUIET, "checkout", "--quiet", "--detach", commit)


def _git(folder: Path, variables: dict[str, str], *arguments: str) -> str:
    # GIT_DIR and its kin would lead to a repository other than the one that is named
    known = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=known | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ApplicationError(
            f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}",
            type="NoCheckout",
            non_retryable=arguments[0] == "rev-parse",
        )
    return os.fsdecode(done.stdout).removesuffix("\n")

"""Build: one commit becomes one deterministic zip per function, stored under its own digest."""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.inputs import BuildInput
from release.promotion import Artifact

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: the same bytes on every build
_NOT_SHIPPED = {"requirements.in", "requirements.txt"}
_PIP_SECONDS = 300


class Build:
    """Builds from a clean checkout of the commit, never from a working tree."""

    def __init__(self, repository: Path, s3: Any) -> None:
        self._repository = repository
        self._s3 = s3

    @activity.defn
    def build_artifacts(self, order: BuildInput) -> list[Artifact]:
        """Every function's zip lies in the bucket; the same commit gives the same digests.

        Raises:
            ApplicationError: not retryable when the commit lacks a function's folder.
        """
        artifacts = []
        for function, source in sorted(order.sources.items()):
            activity.heartbeat(function)
            data = self.build(order.sha, source)
            artifact = Artifact.of(function, data)
            self._store(order.bucket, artifact.key, data)
            artifacts.append(artifact)
        return artifacts

    def build(self, sha: str, source: str) -> bytes:
        """The zip of one folder of the commit, with its pinned dependencies."""
        with tempfile.TemporaryDirectory(prefix="build-") as folder:
            root = Path(folder)
            self._check_out(sha, source, root)
            if (root / "requirements.txt").exists():
                install_dependencies(root / "requirements.txt", root)
            return zip_folder(root)

    def _check_out(self, sha: str, source: str, target: Path) -> None:
        command = ["git", "-C", str(self._repository), "archive", "--format=tar", f"{sha}:{source}"]
        archive = subprocess.run(command, capture_output=True, timeout=60, check=False)
        if archive.returncode != 0:
            raise ApplicationError(
                f"{sha[:12]} has no {source}: {archive.stderr.decode(errors='replace').strip()}",
                type="NoBuild",
                non_retryable=True,
            )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(target, filter="data")

    def _store(self, bucket: str, key: str, data: bytes) -> None:
        try:
            # the name is the content: what is there already is the same, and is never replaced
            self._s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) not in {"PreconditionFailed", "412"}:
                raise


def install_dependencies(requirements: Path, target: Path) -> None:
    """The pinned packages lie in the target. Raises RuntimeError with what pip said."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--no-compile", "--only-binary", ":all:", "--target", str(target)),
        *("-r", str(requirements)),
    ]
    pip = subprocess.run(command, capture_output=True, timeout=_PIP_SECONDS, check=False)
    if pip.returncode != 0:
        raise RuntimeError(f"pip failed: {pip.stderr.decode(errors='replace')[-500:]}")


def zip_folder(root: Path) -> bytes:
    """A zip with sorted entries, fixed times and fixed modes: a pure function of the content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_dir() or not _ships(name):
                continue
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _ships(name: str) -> bool:
    # pip's own records name the build's paths and times: they would change the digest
    in_records = ".dist-info/" in name and not name.endswith("METADATA")
    return (
        name not in _NOT_SHIPPED
        and not in_records
        and "__pycache__/" not in name
        and not name.startswith("bin/")
    )

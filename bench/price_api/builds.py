"""Each variant's zip, by the project's own build, and that zip unpacked as Lambda would."""

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from activities.build import install_dependencies, zip_folder
from bench.price_api.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = Path(__file__).parent / "variants"
SHARED = VARIANTS / "shared"
HANDLER = ROOT / "api_lambda" / "prices"
CACHE = ROOT / ".local" / "bench" / "price_api"

FLOOR = "floor"
OURS = "this handler"
TUTORIAL = "boto3 tutorial"
POWERTOOLS = "powertools"
FASTAPI = "FastAPI + Mangum"
# Name and folders, of which a later one wins; the shared one holds what all but ours have alike.
SOURCES: dict[str, tuple[Path, ...]] = {
    FLOOR: (VARIANTS / "floor",),
    OURS: (HANDLER,),
    TUTORIAL: (SHARED, VARIANTS / "tutorial"),
    POWERTOOLS: (SHARED, VARIANTS / "powertools"),
    FASTAPI: (SHARED, VARIANTS / "fastapi"),
}
_NOT_COMMITTED = shutil.ignore_patterns("__pycache__", ".*")


class Variant(NamedTuple):
    """A built variant: its zip's size, and where it lies unpacked."""

    name: str
    zip_bytes: int
    compiled: Path  # with bytecode beside its sources
    bare: Path  # as in the zip: every cold start compiles


def build(name: str, folder: Path, runtime: Path) -> Variant:
    """The variant lies unpacked in `folder`, twice.

    Raises:
        BenchError: its dependencies cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as stage:
        root = Path(stage)
        for source in SOURCES[name]:
            shutil.copytree(source, root, ignore=_NOT_COMMITTED, dirs_exist_ok=True)
            if source == SHARED:
                shutil.copy(HANDLER / "openapi.json", root)
        if (root / "requirements.txt").exists():
            shutil.copytree(_dependencies(root / "requirements.txt"), root, dirs_exist_ok=True)
        data = zip_folder(root)
    slug = SOURCES[name][-1].name
    compiled, bare = folder / f"{slug}-compiled", folder / f"{slug}-bare"
    for target in (compiled, bare):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(target)
    command = [str(runtime), "-m", "compileall", "-q", "-j", "0", str(compiled)]
    subprocess.run(command, check=True, timeout=300)
    return Variant(name, len(data), compiled, bare)


def _dependencies(requirements: Path) -> Path:
    """The pinned packages, installed once for each lock file and kept."""
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    kept = CACHE / digest
    if kept.exists():
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
    try:
        install_dependencies(requirements, target)
        if not kept.exists():
            target.rename(kept)  # whole or not at all, should this run be interrupted
    except RuntimeError as error:
        raise BenchError(str(error)) from error
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return kept

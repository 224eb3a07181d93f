"""The unpacked code of each version, fetched from the artifact bucket by its own digest.

The control plane's `Code.Location` always gives `$LATEST`'s code, so it is not asked.
"""

import asyncio
import base64
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.front_door.model import LambdaError


class CodeStore:
    """Folders named by the zip's SHA-256; once there, one is never written again."""

    def __init__(self, s3: Any, bucket: str, folder: Path) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder
        self._fetching: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def unpacked(self, code_sha256: str) -> Path:
        """The folder with the code whose zip has this digest (base64, as Lambda gives it).

        Raises:
            LambdaError: the bucket has no such zip, or it is not what its name says.
        """
        digest = base64.b64decode(code_sha256).hex()
        folder = self._folder / digest
        if folder.is_dir():
            return folder
        async with self._fetching[digest]:
            if not folder.is_dir():
                await asyncio.to_thread(self._fetch, digest, folder)
        return folder

    def _fetch(self, digest: str, folder: Path) -> None:
        key = f"lambda/{digest}.zip"
        try:
            content = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise _unusable(f"s3://{self._bucket}/{key}: {error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise _unusable(f"s3://{self._bucket}/{key} does not have the digest it is named by")
        self._folder.mkdir(parents=True, exist_ok=True)
        # Unpacked beside its place and renamed: a killed front door leaves no half a version.
        unpacking = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self._folder))
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(unpacking)
            unpacking.rename(folder)
        except (zipfile.BadZipFile, OSError) as error:
            shutil.rmtree(unpacking, ignore_errors=True)
            raise _unusable(f"s3://{self._bucket}/{key}: {error}") from error


def _unusable(message: str) -> LambdaError:
    return LambdaError(502, "InvalidZipFileException", message)

"""AWS Signature Version 4 for a request without a query string.

Written from "Create a signed AWS API request" in the AWS IAM User Guide.
"""

import hashlib
import hmac
from collections.abc import Mapping

from variables import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs requests to one service in one region; the day's key is derived once."""

    def __init__(self, credentials: Credentials, region: str, service: str) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._day = ""
        self._day_key = b""

    def authorization(
        self, method: str, path: str, headers: Mapping[str, str], payload: bytes
    ) -> str:
        """The Authorization header's value.

        `headers` have lower-case names, hold `host` and `x-amz-date`, and are signed all.
        """
        moment = headers["x-amz-date"]
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        names = sorted(headers)
        signed_names = ";".join(names)
        canonical_request = "\n".join(
            (
                method,
                path,
                "",
                *(f"{name}:{' '.join(headers[name].split())}" for name in names),
                "",
                signed_names,
                hashlib.sha256(payload).hexdigest(),
            )
        )
        digest = hashlib.sha256(canonical_request.encode()).hexdigest()
        to_sign = f"{ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(moment[:8]), to_sign.encode(), "sha256").hex()
        return (
            f"{ALGORITHM} Credential={self._credentials.access_key_id}/{scope}, "
            f"SignedHeaders={signed_names}, Signature={signature}"
        )

    def _key(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._credentials.secret_access_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._day_key = day, key
        return self._day_key

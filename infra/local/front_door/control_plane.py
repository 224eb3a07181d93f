"""The Lambda control plane (ministack) to the front door: signed reads, raw pass-through."""

from typing import Any
from urllib.parse import quote

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.front_door.model import LambdaError

# Headers that belong to one connection and never travel on (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)
RawHeaders = list[tuple[bytes, bytes]]


class ControlPlane:
    """Reads what the data plane needs and forwards every other call unread.

    Raises, from every method:
        httpx.HTTPError: the control plane cannot be reached; retrying helps once it is back.
        LambdaError: it answered with an error.
    """

    def __init__(self, url: str, region: str, access_key: str, secret_key: str) -> None:
        self._url = httpx.URL(url)
        # Pass-through may take long (a large zip); trust_env off: no proxy stands in between.
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(60, connect=2), trust_env=False)
        self._signer = SigV4Auth(Credentials(access_key, secret_key), "lambda", region)

    async def close(self) -> None:
        """Its connections are closed."""
        await self._http.aclose()

    async def aliases(self, function: str) -> list[dict[str, Any]]:
        """Every alias of the function."""
        found: list[dict[str, Any]] = []
        marker: str | None = None
        while True:
            params = {"MaxItems": "50"} | ({"Marker": marker} if marker else {})
            page = await self._get(f"/2015-03-31/functions/{function}/aliases", params)
            found += page["Aliases"]
            if not (marker := page.get("NextMarker")):
                return found

    async def configuration(self, function: str, version: str) -> dict[str, Any]:
        """The configuration of one version (or `$LATEST`)."""
        path = f"/2015-03-31/functions/{function}/configuration"
        return await self._get(path, {"Qualifier": version})

    async def reserved_concurrency(self, function: str) -> int | None:
        """The function's reserved concurrency; None where none is set."""
        answer = await self._get(f"/2019-09-30/functions/{function}/concurrency", {})
        reserved: int | None = answer.get("ReservedConcurrentExecutions")
        return reserved

    async def forward(
        self, method: str, target: bytes, headers: RawHeaders, body: bytes
    ) -> tuple[int, RawHeaders, bytes]:
        """The control plane's answer to this very request; bodies pass byte for byte.

        Args:
            target: path and query as they stood in the request line.
        """
        kept = [(name, value) for name, value in headers if name not in HOP_BY_HOP]
        url = self._url.copy_with(raw_path=target)
        response = await self._http.send(
            httpx.Request(method, url, headers=kept, content=body), stream=True
        )
        try:
            content = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        answered = [(name.lower(), value) for name, value in response.headers.raw]
        return response.status_code, [h for h in answered if h[0] not in HOP_BY_HOP], content

    async def _get(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in params.items())
        url = f"{str(self._url).rstrip('/')}{path}" + (f"?{query}" if query else "")
        # Signed, since the signature's scope is how an AWS endpoint knows account and region.
        request = AWSRequest("GET", url)
        self._signer.add_auth(request)
        response = await self._http.get(url, headers=dict(request.headers), timeout=5)
        document: dict[str, Any] = response.json() if response.content else {}
        if response.is_success:
            return document
        code = response.headers.get("x-amzn-errortype", "ServiceException").split(":")[0]
        message = document.get("Message") or document.get("message") or response.text
        raise LambdaError(response.status_code, code, message)

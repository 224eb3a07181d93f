"""The price API on FastAPI behind Mangum: models, dependencies and handlers as its docs have them.

The path operations are plain functions, since boto3 blocks; FastAPI then runs them in threads.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import journal
from errors import ApiError, error_body, internal_error, not_found
from fastapi import Depends, FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from mangum import Mangum
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from store import admit, health, newest_of, snapshot, symbols_of

app = FastAPI(title="crypto-watch")


class Price(BaseModel):
    """One coin."""

    symbol: str
    name: str
    price: float
    change24h: float
    marketCap: int  # noqa: N815 the API's own name
    lastUpdated: datetime  # noqa: N815 the API's own name
    stale: bool


class PriceList(BaseModel):
    """Several coins."""

    data: list[Price]
    timestamp: datetime


class SinglePrice(BaseModel):
    """One coin and its time."""

    data: Price
    timestamp: datetime


class Checks(BaseModel):
    """What /health looked at."""

    dynamodb: str
    lastPriceUpdate: datetime | None  # noqa: N815 the API's own name
    cacheAge: float | None  # noqa: N815 the API's own name


class Health(BaseModel):
    """Whether prices can be served."""

    status: str
    timestamp: datetime
    version: str
    gitSha: str  # noqa: N815 the API's own name
    checks: Checks


def api_key(
    key: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
) -> None:
    """The request is counted, or refused."""
    admit(key)


@app.get("/prices", dependencies=[Depends(api_key)])
def prices(symbols: Annotated[str, Query()]) -> PriceList:
    """Several prices."""
    found = snapshot.get(symbols_of(symbols))
    return PriceList.model_validate({"data": found, "timestamp": newest_of(found)})


@app.get("/prices/{symbol}", dependencies=[Depends(api_key)])
def one_price(symbol: str) -> SinglePrice:
    """One price."""
    [price] = snapshot.get(symbols_of(symbol))
    return SinglePrice.model_validate({"data": price, "timestamp": price["lastUpdated"]})


@app.get("/health")
def is_healthy() -> Health:
    """Whether prices can be served."""
    return Health.model_validate(health())


@app.exception_handler(ApiError)
def refused(request: Request, error: ApiError) -> JSONResponse:
    """The error in the service's format."""
    request_id = request.scope["aws.event"]["requestContext"]["requestId"]
    return JSONResponse(error_body(error, request_id), error.status)


@app.exception_handler(RequestValidationError)
def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """What pydantic refused, in the service's format."""
    return refused(request, ApiError(400, "INVALID_REQUEST", str(error.errors()[0]["msg"])))


@app.exception_handler(HTTPException)
def nothing_there(request: Request, error: HTTPException) -> JSONResponse:
    """An unknown route in the service's format."""
    return refused(request, not_found())


@app.exception_handler(Exception)
def failed(request: Request, error: Exception) -> JSONResponse:
    """A mistake of ours in the service's format."""
    return refused(request, internal_error())


@app.middleware("http")
async def log(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """The request's line is written."""
    started = time.perf_counter()
    response = await call_next(request)
    # FastAPI's own route for its description does not put itself into the scope.
    otherwise = app.openapi_url if request.url.path == app.openapi_url else "none"
    path = str(getattr(request.scope.get("route"), "path", otherwise))
    event: dict[str, Any] = request.scope["aws.event"]
    journal.write(event, path, response.status_code, started)
    return response


handler = Mangum(app, lifespan="off")

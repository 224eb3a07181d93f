"""The cached routing table: aliases, versions and reserved concurrency of the functions in use.

Requests are served from the cache, so they go on while the control plane is away. A read that
began earlier never overwrites what a later one found: a write passed through the front door is
followed by a read before its answer goes back, and from then on nobody is routed the old way.
"""

import asyncio
import itertools
import logging
from dataclasses import dataclass, field

import httpx

from infra.local.front_door.control_plane import ControlPlane
from infra.local.front_door.model import LATEST, Alias, FunctionVersion, LambdaError, not_found

_log = logging.getLogger(__name__)
# A read that a write overtook is thrown away and made again, so often.
_READS_AMID_WRITES = 5


@dataclass(frozen=True)
class Target:
    """Where one invocation goes."""

    version: FunctionVersion
    qualifier: str | None  # as the caller gave it
    through_alias: bool
    reserved_concurrency: int | None

    @property
    def arn(self) -> str:
        """The ARN as invoked: with the alias or version that was asked for."""
        return f"{self.version.arn}:{self.qualifier}" if self.qualifier else self.version.arn


@dataclass
class _Function:
    aliases: dict[str, Alias]
    reserved: int | None
    versions: dict[str, FunctionVersion] = field(default_factory=dict)


class Routing:
    """What each qualifier of each known function means now."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._functions: dict[str, _Function] = {}
        self._reads = itertools.count(1)
        self._newest: dict[str, int] = {}  # function -> number of the newest read applied

    async def resolve(self, function: str, qualifier: str | None) -> Target:
        """The version that serves this one invocation.

        Raises:
            LambdaError: there is no such function, version or alias (404), or it is not known
                here and the control plane cannot be asked (500).
        """
        known = self._functions.get(function) or await self._ask(function)
        named = qualifier or LATEST
        alias = known.aliases.get(named)
        if alias is None and named != LATEST and not named.isdigit():
            known = await self._ask(function)  # perhaps made straight at the control plane
            alias = known.aliases.get(named)
            if alias is None:
                raise not_found(f"{function}:{named}")
        number = alias.pick() if alias else named
        version = known.versions.get(number) or await self._read_version(function, number)
        return Target(version, qualifier, alias is not None, known.reserved)

    async def after_write(self, function: str, *, deleted: bool) -> None:
        """The function as it is after a write; unreadable, it is forgotten rather than stale."""
        if deleted:
            self._forget(function)
            return
        if function not in self._functions:
            self._forget(function)  # what a first read under way has found may be old already
            return
        try:
            await self._refresh(function)
        except (httpx.HTTPError, LambdaError) as error:
            self._forget(function)
            _log.warning("routing of %s could not be read after a write: %s", function, error)

    async def watch(self, seconds: float) -> None:
        """Reads every known function again and again, for changes made behind our back."""
        away = False
        while True:
            await asyncio.sleep(seconds)
            problem: Exception | None = None
            for function in list(self._functions):
                try:
                    await self._refresh(function)
                except Exception as error:  # whatever it is, the watch goes on
                    deleted = isinstance(error, LambdaError) and error.status == 404
                    problem = problem if deleted else error
            if problem is not None and not away:
                _log.warning("control plane is away, serving from the cache: %r", problem)
            away = problem is not None

    async def _ask(self, function: str) -> _Function:
        for _ in range(_READS_AMID_WRITES):
            try:
                await self._refresh(function)
            except httpx.HTTPError as error:
                raise LambdaError(500, "ServiceException", f"control plane: {error!r}") from error
            if function in self._functions:
                return self._functions[function]
        raise LambdaError(500, "ServiceException", f"{function} changes too fast to be read")

    async def _refresh(self, function: str) -> None:
        number = next(self._reads)
        try:
            aliases = await self._control_plane.aliases(function)
            reserved = await self._control_plane.reserved_concurrency(function)
            before = self._functions.get(function)
            versions = dict(before.versions) if before else {}
            if LATEST in versions:  # the only one that changes
                document = await self._control_plane.configuration(function, LATEST)
                versions[LATEST] = FunctionVersion.from_api(document)
        except LambdaError as error:
            if error.status == 404:
                self._forget(function)
            raise
        if number < self._newest.get(function, 0):
            return
        self._newest[function] = number
        routes = {alias["Name"]: Alias.from_api(alias) for alias in aliases}
        self._functions[function] = _Function(routes, reserved, versions)

    async def _read_version(self, function: str, number: str) -> FunctionVersion:
        read = next(self._reads)
        try:
            document = await self._control_plane.configuration(function, number)
        except httpx.HTTPError as error:
            raise LambdaError(500, "ServiceException", f"control plane: {error!r}") from error
        version = FunctionVersion.from_api(document)
        if function in self._functions and read > self._newest.get(function, 0):
            self._functions[function].versions[number] = version
        return version

    def _forget(self, function: str) -> None:
        self._newest[function] = next(self._reads)
        self._functions.pop(function, None)

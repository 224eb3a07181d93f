"""Makes a Temporal server ready for releases: `python -m infra.temporal.setup`.

The namespace with its retention, the search attributes, and with `--drill` the rollback drill's
schedule. Run again it changes nothing.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from connection.connect import client_options
from connection.errors import SettingsError
from connection.problems import in_words
from release.search_attributes import RETENTION_DAYS, SEARCH_ATTRIBUTES
from settings import TemporalSettings

_LONGEST_CALL = timedelta(seconds=15)
# a new namespace is known to all of a server's parts within its cache's ten seconds
_LONGEST_WAIT = 30.0
_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_CLOUD = """Temporal Cloud makes namespaces and search attributes by its own tool:
  tcld namespace retention set --namespace {namespace} --retention-days {days}
  tcld namespace search-attributes add --namespace {namespace} {attributes}"""


class SetupError(RuntimeError):
    """The server is not as releases need it, and this does not change it."""


async def set_up(client: Client, days: int, say: Callable[[str], None]) -> None:
    """The namespace exists, keeps histories at least so long, and knows our search attributes.

    Raises:
        SetupError: an attribute of ours is there with another type.
        RPCError: the server does not answer, or does not let us.
    """
    say(f"namespace {client.namespace}: {await _namespace(client, days)}")
    for name, done in (await _search_attributes(client)).items():
        say(f"search attribute {name}: {done}")


async def _namespace(client: Client, days: int) -> str:
    retention = Duration(seconds=days * 86_400)
    try:
        kept = await _retention(client)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=client.namespace, workflow_execution_retention_period=retention
            ),
            timeout=_LONGEST_CALL,
        )
        await _until(lambda: _is_known(client))
        return f"made, keeps histories for {days} days"
    if kept >= timedelta(days=days):
        return f"is there, keeps histories for {kept.days} days"
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=retention),
        ),
        timeout=_LONGEST_CALL,
    )
    return f"is there, kept histories for {_text(kept)}, now for {days} days"


async def _search_attributes(client: Client) -> dict[str, str]:
    """Attribute → what was done."""
    known = await _known_attributes(client)
    wrong = [name for name in SEARCH_ATTRIBUTES if known.get(name, _KEYWORD) != _KEYWORD]
    if wrong:
        raise SetupError(f"{', '.join(wrong)}: there is one of another type than Keyword")
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(missing, _KEYWORD)
            ),
            timeout=_LONGEST_CALL,
        )

        async def are_known() -> bool:
            return set(SEARCH_ATTRIBUTES) <= set(await _known_attributes(client))

        await _until(are_known)
    return {name: "made" if name in missing else "is there" for name in SEARCH_ATTRIBUTES}


async def _retention(client: Client) -> timedelta:
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), timeout=_LONGEST_CALL
    )
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


async def _known_attributes(client: Client) -> dict[str, Any]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_LONGEST_CALL
    )
    return dict(listed.custom_attributes)


async def _is_known(client: Client) -> bool:
    try:
        await _known_attributes(client)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LONGEST_WAIT):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.2)


def _text(kept: timedelta) -> str:
    return f"{kept.days} days" if kept.days else f"{kept.seconds // 3600} hours"


async def _drill() -> str:
    """As `starter.py drill --schedule`, by the policy on the release branch."""
    from cli import drills

    request, policy = drills.prepare(None, "setup", 1)
    at = await drills.schedule(request, policy)
    return f"{request.workflow_id}: next {at:%Y-%m-%d %H:%M} UTC" if at else request.workflow_id


async def main(arguments: argparse.Namespace) -> None:
    """Everything is there, and each thing was said."""
    config = client_options(TemporalSettings.from_environment())
    try:
        client = await Client.connect(**config)
        await set_up(client, arguments.retention_days, print)
    except RPCError as error:
        if error.status in {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED}:
            attributes = " ".join(f"--sa {name}=Keyword" for name in SEARCH_ATTRIBUTES)
            cloud = {"namespace": config.get("namespace", "default"), "attributes": attributes}
            print(_CLOUD.format(days=arguments.retention_days, **cloud), file=sys.stderr)
        raise SetupError(in_words(error, config)) from error
    except RuntimeError as error:
        raise SetupError(in_words(error, config)) from error
    if arguments.drill:
        print(f"schedule {await _drill()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.temporal.setup")
    parser.add_argument(
        "--retention-days", type=int, default=RETENTION_DAYS, help=f"default: {RETENTION_DAYS}"
    )
    parser.add_argument("--drill", action="store_true", help="schedule the rollback drill, too")
    return parser.parse_args()


if __name__ == "__main__":
    from cli.errors import CliError

    code = 0
    try:
        asyncio.run(main(_arguments()))
    except (CliError, SettingsError, SetupError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # the SDK can crash in interpreter teardown, after the work is done (temporalio/sdk-python#300)
    os._exit(code)

"""Supersede: older promotions of the service that wait learn that a newer one has come as far."""

import asyncio
from pathlib import Path

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.git import is_ancestor
from activities.inputs import SupersedeInput
from release.decisions import Supersession
from release.promotion import Stage

_WAITING = (Stage.CHECKLIST, Stage.APPROVAL, Stage.LANE)


class Supersede:
    """Finds and tells them; which commit is older, git says."""

    def __init__(self, client: Client, repository: Path) -> None:
        self._client = client
        self._repository = repository

    @activity.defn
    async def supersede_older(self, order: SupersedeInput) -> list[str]:
        """The ids of the promotions that were told; told again it changes nothing.

        A promotion whose commit this repository does not know, or which does not lead to the newer
        one, is left alone.
        """
        query = (
            f"WorkflowId STARTS_WITH 'promotion/{order.service}/' AND ExecutionStatus = 'Running' "
            f"AND ReleaseStage IN ({', '.join(repr(stage.value) for stage in _WAITING)})"
        )
        told = []
        async for run in self._client.list_workflows(query):
            sha = {p.key.name: p.value for p in run.typed_search_attributes}.get("ReleaseSha", "")
            if run.id == order.promotion or not sha or sha == order.sha:
                continue
            # in a thread: this runs on the worker's event loop, with everything else
            if not await asyncio.to_thread(is_ancestor, self._repository, sha, order.sha):
                continue
            message = Supersession(by=order.promotion, version=order.version)
            try:
                handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
                await handle.signal("supersede", message)
                told.append(run.id)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                    raise
        return told

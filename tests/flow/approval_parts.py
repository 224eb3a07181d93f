"""What the tests of approvals ask: the record of messages, and the words of a refusal."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from release.decisions import Decision
from tests.flow.release_system import ROOT

TEXT = (ROOT / "release.toml").read_text()


async def messages(system, handle, kind="approve"):
    """What the record says of the messages of one kind, in order."""
    status = await system.status(handle)
    return [(m.by, m.accepted, m.text) for m in status.inbox if m.kind == kind]


async def refusal(handle, **decision) -> str:
    """The words with which an approval is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("approve", Decision(**decision))
    return refused.value.cause.message

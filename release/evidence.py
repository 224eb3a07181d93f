"""What an approval is given for: if anything of it changes, the approval is void."""

import hashlib
import json

from pydantic import Field

from release.change_set import InfrastructurePlan, InfrastructureWaiver
from release.checklist import ItemState
from release.message import Message
from release.policy import Policy
from release.verdict import CheckResult


class Evidence(Message):
    """Everything that approvers are shown and that the deploy will do."""

    sha: str
    version: str
    running_version: str
    requested_by: str
    changes: tuple[str, ...]
    authors: tuple[str, ...]
    artifacts: dict[str, str] = Field(description="function → SHA-256 of its zip")
    tests: tuple[CheckResult, ...]
    items: tuple[ItemState, ...] = Field(description="answers, without those approvals give")
    rollback_target: dict[str, str] = Field(description="function → version served before")
    infrastructure: InfrastructurePlan | None = Field(
        None, description="what production's stack would become"
    )
    infrastructure_waivers: tuple[InfrastructureWaiver, ...] = ()
    policy: Policy
    hotfix: str = ""

    def digest(self) -> str:
        """SHA-256 of the evidence as canonical JSON, in hex."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


SHORT = 12
"""Characters of a digest that people see and send; fewer than `SHORTEST` are refused."""
SHORTEST = 8


def is_for(given: str, digest: str) -> bool:
    """Whether a digest that a person sent means this evidence."""
    return len(given) >= SHORTEST and digest.startswith(given.lower())

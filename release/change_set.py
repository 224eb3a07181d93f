"""A stack's changes as CloudFormation describes them, and what a promotion did with them."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from release.message import Message


class Action(StrEnum):
    """What CloudFormation will do to a resource."""

    ADD = "Add"
    MODIFY = "Modify"
    REMOVE = "Remove"
    IMPORT = "Import"
    DYNAMIC = "Dynamic"
    SYNC = "SyncWithActual"


class Replacement(StrEnum):
    """Whether a modified resource is made anew, and the old one deleted."""

    NEVER = "False"
    CONDITIONAL = "Conditional"
    ALWAYS = "True"


class ResourceChange(Message):
    """One resource of a change set."""

    logical_id: str
    type: str
    action: Action
    replacement: Replacement = Replacement.NEVER
    properties: tuple[str, ...] = Field((), description="what of it changes, in CloudFormation's")
    details: tuple[str, ...] = Field((), description="each property with its values, if known")
    is_certain: bool = Field(
        True, description="false: only if another resource's change gives it another value"
    )

    def text(self) -> str:
        """ "Modify ApiLogs (AWS::Logs::LogGroup): RetentionInDays 30 → 60"."""
        anew = {
            Replacement.NEVER: "",
            Replacement.CONDITIONAL: ", may be replaced",
            Replacement.ALWAYS: ", is replaced",
        }[self.replacement]
        of = f": {', '.join(self.details)}" if self.details else ""
        return f"{self.action.value} {self.logical_id} ({self.type}){anew}{of}"


class InfrastructurePlan(Message):
    """What one environment's stack would become; without changes there is no change set."""

    stack: str
    change_set: str = Field("", description="its name, which an execution is asked for by")
    changes: tuple[ResourceChange, ...] = ()


class InfrastructureWaiver(Message):
    """A named role's word that changes which lose something may be made."""

    by: str
    at: datetime
    reason: str
    covers: tuple[str, ...] = Field(description="the objections as they were when it was given")


class InfrastructureStatus(Message):
    """What a promotion does to its stacks, as far as it has come."""

    staging: InfrastructurePlan | None = None
    prod: InfrastructurePlan | None = None
    executed: tuple[str, ...] = Field((), description="stacks that are as the commit says")
    begun: tuple[str, ...] = Field((), description="stacks whose update was asked for")
    objections: tuple[str, ...] = Field((), description="what waits for a waiver")
    waivers: tuple[InfrastructureWaiver, ...] = ()

    def staying(self) -> str:
        """What a rollback of the code leaves as it is, in words; empty if there is nothing."""
        prod = self.prod
        if prod is None or not prod.changes or prod.stack not in self.begun:
            return ""
        done = "was changed" if prod.stack in self.executed else "was being changed"
        count = len(prod.changes)
        are = "1 resource is" if count == 1 else f"{count} resources are"
        return (
            f"the stack {prod.stack} {done} before traffic moved and is not put back: "
            f"{are} as the new commit says"
        )

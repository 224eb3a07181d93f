"""Where people hear of releases, and what became of a notice there."""

from enum import StrEnum

from pydantic import Field

from release.message import Message


class ChannelKind(StrEnum):
    """How a channel is spoken to."""

    WEBHOOK = "webhook"
    SLACK = "slack"


class Event(StrEnum):
    """What a release tells unasked, in the order of its life."""

    STARTED = "started"
    ANNOUNCED = "announced"
    APPROVAL_REQUESTED = "approval_requested"
    REMINDER = "reminder"
    SHIFTING = "shifting"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    INCIDENT = "incident"
    ENDED = "ended"
    POST_DEPLOY_HARM = "post_deploy_harm"


class Channel(Message):
    """One channel; its address is a secret, for whoever has it can write there."""

    kind: ChannelKind
    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    url_secret: str = Field(min_length=1, description="name of the secret that holds the address")
    signing_secret: str | None = Field(
        None, description="name of the secret that a webhook's bodies are signed with"
    )
    events: tuple[Event, ...] = Field(
        tuple(Event), min_length=1, description="what it wants to hear: a status page wants few"
    )


class DeliveryOutcome(StrEnum):
    """Whether a notice arrived. Refused: said no, or not to be sent; trying again is no use."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Delivery(Message):
    """What became of a notice in one channel; the reason holds neither address nor secret."""

    channel: str
    outcome: DeliveryOutcome
    reason: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the channel took it."""
        return self.outcome is DeliveryOutcome.DELIVERED

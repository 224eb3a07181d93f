"""What every value that crosses a process border is made of."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen value; an unknown field is an error, so a typing slip never passes in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

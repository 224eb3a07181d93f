"""What an environment is to be like when it is new."""

from pydantic import Field

from infra.local.settings import Frozen
from infra.local.template import TEMPLATE

ALIAS = "live"
GUARD = "guard"


class EnvironmentSpec(Frozen):
    """An environment as it should be when it is new."""

    service: str
    environment: str
    url: str
    price_feed: str = Field(description="base URL of the price feed")
    template: str = Field(default_factory=TEMPLATE.read_text, description="of its stack, the text")
    is_promoted: bool = Field(True, description="whether promotions change the stack's template")
    functions: tuple[str, ...] = ("api", "fetcher")
    artifacts: dict[str, str] = Field(
        description="function and `guard` to the zip's SHA-256 in hex; the guard's is all that is"
        " needed where the functions exist"
    )
    version: str
    git_sha: str
    rate_limit: int = Field(description="requests a minute and key")
    alarm_period_seconds: int
    symbols: list[str]

    @property
    def name(self) -> str:
        """The table's name, and the API's id."""
        return f"{self.service}-{self.environment}"

    def function(self, kind: str) -> str:
        """The full name of a function of the release, or of the `guard`."""
        return f"{self.service}-{kind}-{self.environment}"

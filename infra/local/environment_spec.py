"""What an environment is to be like when it is new."""

from pydantic import Field

from infra.local.settings import Frozen

ALIAS = "live"
KINDS = ("api", "fetcher")
GUARD = "guard"


class EnvironmentSpec(Frozen):
    """An environment as it should be when it is new."""

    service: str
    environment: str
    url: str
    price_feed: str = Field(description="base URL of the price feed")
    artifacts: dict[str, str] = Field(
        description="`api`, `fetcher` and `guard` to the zip's SHA-256 in hex; the first two are"
        " needed only where the function is missing"
    )
    version: str
    git_sha: str
    rate_limit: int = Field(description="requests a minute and key")
    alarm_period_seconds: int
    symbols: list[str]
    template: str = Field("", description="of the stack when it is new; empty: the project's own")

    @property
    def name(self) -> str:
        """The table's name, and the API's id."""
        return f"{self.service}-{self.environment}"

    def function(self, kind: str) -> str:
        """The name of the `api`, the `fetcher` or the `guard` function."""
        return f"{self.service}-{kind}-{self.environment}"

"""What the environment tells the fetcher; nothing else in this folder reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Config:
    """The fetcher's configuration, fixed for the life of one execution environment."""

    table_name: str
    feed_url: str
    symbols: tuple[str, ...]
    function_name: str
    function_version: str
    environment: str
    api_key: str = field(repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Config":
        """The configuration that `environ` describes.

        Raises KeyError when the table, the feed or the symbols are missing.
        """
        symbols = (symbol.strip().upper() for symbol in environ["SYMBOLS"].split(","))
        return cls(
            table_name=environ["TABLE_NAME"],
            feed_url=environ["PRICE_FEED_URL"].rstrip("/"),
            symbols=tuple(dict.fromkeys(symbol for symbol in symbols if symbol)),
            function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME", "local"),
            function_version=environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            environment=environ.get("ENVIRONMENT", "dev"),
            api_key=environ.get("COINGECKO_API_KEY", ""),
        )

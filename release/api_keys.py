"""API keys of the price service: what one looks like, and what the table keeps of it.

A key is shown once, when it is made. The table has its SHA-256, from which it cannot be had back;
192 random bits need no slow hash, for nobody can try them all.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import Field

from release.message import Message

ITEM_PREFIX = "APIKEY#"
_RANDOM_BYTES = 24
_ID_DIGITS = 12
_KEY = re.compile(r"cw_(?:live|test)_[A-Za-z0-9_-]{8,}")
_SHOWN_CHARACTERS = 4  # the price API's logs show as many of them


def new_key(environment: str) -> str:
    """A key nobody can guess; its prefix tells production's keys from all others."""
    kind = "live" if environment == "prod" else "test"
    return f"cw_{kind}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def digest(key: str) -> str:
    """The hex SHA-256 under which the table has the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def looks_like_key(text: str) -> bool:
    """Whether the text may be a key, which belongs in no command line."""
    return text.startswith(("cw_live_", "cw_test_"))


def mask_keys(text: str) -> str:
    """The text with every key that stands in it in the masked form; so are the starts of keys."""
    return _KEY.sub(lambda found: masked(found[0]), text)


def masked(key: str) -> str:
    """The form in which the price API logs the key."""
    prefix = key[: key.index("_", 3) + 1]
    return f"{prefix}****{key[-_SHOWN_CHARACTERS:]}"


class ApiKey(Message):
    """What is known of a key; the key itself is not."""

    digest: str
    name: str
    enabled: bool
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    replaced_by: str = Field("", description="id of the key that a rotation made of it")
    masked: str = Field("", description="the form in which the price API logs it")

    @classmethod
    def of(
        cls, key: str, name: str, created_by: str, now: datetime, lifetime: timedelta | None = None
    ) -> Self:
        """A new key's record."""
        return cls(
            digest=digest(key),
            name=name,
            enabled=True,
            created_at=now,
            created_by=created_by,
            expires_at=now + lifetime if lifetime else None,
            masked=masked(key),
        )

    @property
    def id(self) -> str:
        """By this a person names the key; it is no secret."""
        return self.digest[:_ID_DIGITS]

    def state(self, now: datetime) -> str:
        """ "good", "disabled" or "expired"; of a rotated key, how long it is still good."""
        if not self.enabled:
            return "disabled"
        if self.expires_at is None:
            return "good"
        if self.expires_at <= now:
            return "expired"
        return f"good until {self.expires_at:%Y-%m-%d %H:%M} UTC"

    def is_good(self, now: datetime) -> bool:
        """Whether the price API lets it in."""
        return self.enabled and (self.expires_at is None or self.expires_at > now)

    def to_item(self) -> dict[str, Any]:
        """The table's item, in DynamoDB's JSON."""
        item: dict[str, Any] = {
            "PK": {"S": f"{ITEM_PREFIX}{self.digest}"},
            "SK": {"S": "METADATA"},
            "name": {"S": self.name},
            "enabled": {"BOOL": self.enabled},
            "createdAt": {"S": self.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
            "createdBy": {"S": self.created_by},
            "masked": {"S": self.masked},
        }
        if self.expires_at is not None:
            item["expiresAt"] = {"N": str(int(self.expires_at.timestamp()))}
        return item

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """The record of a table's item; what an older item lacks is empty.

        Raises KeyError, ValueError when it is no key's.
        """
        expires_at = item.get("expiresAt", {}).get("N")
        return cls(
            digest=item["PK"]["S"].removeprefix(ITEM_PREFIX),
            name=item.get("name", {}).get("S", ""),
            enabled=item.get("enabled", {}).get("BOOL", False),
            created_at=datetime.fromisoformat(item["createdAt"]["S"]),
            created_by=item.get("createdBy", {}).get("S", ""),
            expires_at=datetime.fromtimestamp(int(expires_at), UTC) if expires_at else None,
            replaced_by=item.get("replacedBy", {}).get("S", ""),
            masked=item.get("masked", {}).get("S", ""),
        )

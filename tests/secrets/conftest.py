"""Real parts for the search for secrets: Temporal's server, and ministack's AWS over HTTP."""

from tests.approvals.conftest import dynamodb, endpoint, secret, secrets
from tests.flow.conftest import release_system, temporal

__all__ = ["dynamodb", "endpoint", "release_system", "secret", "secrets", "temporal"]

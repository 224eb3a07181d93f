"""The flow's parts: the real Temporal server, and a worker whose measuring is scripted."""

from tests.flow.conftest import release_system, temporal

__all__ = ["release_system", "temporal"]

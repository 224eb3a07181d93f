"""A laptop cloud that is gone when its test is over."""

from tests.local_supervisor.conftest import state_dir

__all__ = ["state_dir"]

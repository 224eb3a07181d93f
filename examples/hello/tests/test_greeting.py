"""Run by the promotion on a clean checkout: `[ci.commands]` in release.toml."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "hello"))

from app import greeting


class Greeting(unittest.TestCase):
    """The person is named."""

    def test_name_is_said(self) -> None:
        """The greeting has the name as it was given."""
        assert greeting("Ada") == "Hello, Ada!"

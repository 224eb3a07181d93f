"""A CodeDeploy of each test's own."""

from collections.abc import Iterator

import pytest

from tests.codedeploy.codedeploy_parts import Account, account


@pytest.fixture
def aws() -> Iterator[Account]:
    with account() as found:
        yield found

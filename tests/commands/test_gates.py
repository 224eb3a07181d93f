"""The gates from the command line: what is refused before Temporal hears of it."""

import pytest

from tests.commands.test_bad_input import POLICY, the_line


@pytest.mark.parametrize(
    "command",
    [
        ("sign-off", "main"),
        ("fail", "main", "readme"),
        ("waive", "main", "memory"),
        ("approve",),
        ("approve", "main", "--github-run", "seven"),
        ("checklist",),
        ("approvers",),
        ("approvers", "enrol"),
    ],
)
def test_incomplete_command_is_bad_input(starter, command):
    """Nothing is sent; the usage says what is missing."""
    done = starter(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: starter.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_code_is_no_argument(starter):
    """A code in the command line would stand in the process list: the option takes none."""
    done = starter("approve", "main", "--code", "123456")

    assert done.returncode == 2
    assert "unrecognized arguments: 123456" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('people = ["bob"]', "people = []", "role 'operations_lead' needs 1 people"),
        ('approval = "product_owner"', 'approval = "nobody"', "unknown role 'nobody'"),
        ('auto = "memory"', 'auto = "memory", approval = "technical_lead"', "item 'memory'"),
    ],
)
def test_policy_whose_gates_cannot_be_passed_is_refused(repository, starter, old, new, said):
    """A role that nobody holds is said at `promote`, not after a day."""
    assert POLICY.count(old) == 1
    repository.commit(policy=POLICY.replace(old, new))

    assert said in the_line(starter("promote", "main"))

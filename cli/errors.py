"""How the CLI ends: its exit codes, and the errors that carry them."""

OK = 0
NOT_COMPLETED = 1
BAD_INPUT = 2
UNREACHABLE = 3
INTERRUPTED = 130


class CliError(Exception):
    """One clear line for the person, and the exit code."""

    exit_code = BAD_INPUT


class Refused(CliError):
    """The promotion or AWS said no, and said why."""

    exit_code = NOT_COMPLETED


class Unreachable(CliError):
    """Temporal or AWS does not answer."""

    exit_code = UNREACHABLE

"""What ends a benchmark before its figures."""


class BenchError(Exception):
    """One line, or a few, for the person who started it."""

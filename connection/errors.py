"""What can be wrong with this process's part in Temporal, before anything is asked of it."""


class KeyringError(RuntimeError):
    """Payloads cannot be encrypted or read; its text says what is missing."""


class MetricsError(RuntimeError):
    """Metrics cannot be served where the settings want them."""

"""What can be wrong with this process's part in Temporal, before anything is asked of it."""


class SettingsError(RuntimeError):
    """A setting cannot be used; its text says which, and what is missing."""


class ProfileError(SettingsError):
    """The connection profile is not there, or names a file that is not."""


class KeyringError(SettingsError):
    """Payloads cannot be encrypted or read."""


class MetricsError(SettingsError):
    """Metrics cannot be served where the settings want them."""

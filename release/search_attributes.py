"""What a release can be searched by in Temporal; every server needs them, all of type Keyword."""

SEARCH_ATTRIBUTES = (
    "ReleaseService",
    "ReleaseSha",
    "ReleaseVersion",
    "ReleaseStage",
    "ReleaseOutcome",
)
RETENTION_DAYS = 30
"""A promotion's history, once it has ended: longer than its day after, and a month's questions."""

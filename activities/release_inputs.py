"""What is asked of git and GitHub once a promotion has ended."""

from pydantic import AwareDatetime, Field

from release.message import Message

SHA = r"^[0-9a-f]{40}$"


class TagInput(Message):
    """Tag the released commit."""

    repository: str = Field("", description="GitHub's owner/name; empty: the worker's own")
    sha: str = Field(pattern=SHA)
    version: str = Field(description="X.Y.Z")
    message: str
    at: AwareDatetime = Field(description="from when on the version was live: the tag's date")


class ChangelogInput(Message):
    """Close the release in the branch's changelog."""

    repository: str = Field("", description="GitHub's owner/name; empty: the worker's own")
    sha: str = Field(pattern=SHA)
    version: str = Field(description="X.Y.Z")
    previous: str = Field("", description="X.Y.Z that production ran before; empty: not known")
    staged_at: AwareDatetime | None
    live_at: AwareDatetime


class GitHubDeploymentInput(Message):
    """Tell GitHub how the commit's deployment ended."""

    repository: str = Field(description="GitHub's owner/name")
    environment: str
    sha: str = Field(pattern=SHA)
    version: str
    promotion: str = Field(description="the promotion's id")
    run_id: str = Field(description="of the promotion: one deployment each")
    succeeded: bool
    reason: str
    log_url: str = Field("", description="the promotion's page; empty where there is none")


class IssueInput(Message):
    """Open one issue about one thing."""

    repository: str = Field(description="GitHub's owner/name")
    title: str = Field(min_length=1)
    body: str = Field(description="Markdown")
    marker: str = Field(
        min_length=1, description="what the issue is known by, the same for every retry"
    )

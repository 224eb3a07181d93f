"""The laptop cloud from the command line: up, down, and the first release in each environment."""

import os
from pathlib import Path
from typing import Any

from cli.commits import Commits
from cli.errors import CliError, Refused
from infra.local import laptop
from infra.local.settings import (
    AlreadyRunning,
    LaptopError,
    LaptopSettings,
    LaptopState,
    Ports,
)
from release.policy import Policy, alarm_period_seconds
from settings import task_queue

SYMBOLS = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "TRX", "FIL", "LINK", "LTC"]
RATE_LIMIT_PER_MINUTE = 100


def state_dir() -> Path:
    """Where the laptop cloud of this folder keeps its state and logs."""
    return Path(os.environ.get("RELEASE_STATE_DIR", ".local")).resolve()


def enter_environment() -> LaptopState | None:
    """This process reaches the laptop cloud, if one is up; what a person named stays theirs."""
    state = laptop.running(state_dir())
    if state is None:
        return None
    theirs = tuple(
        prefix
        for prefix, named in (
            ("AWS_", os.environ.get("AWS_PROFILE")),
            ("TEMPORAL_ADDRESS", own_temporal()),
        )
        if named
    )
    variables = state.environment()
    for name in [name for name in variables if name.startswith(theirs)]:
        del variables[name]
    os.environ.update(variables)
    return state


def own_temporal() -> str | None:
    """The address of a Temporal server that a variable or a connection profile names."""
    if not (os.environ.get("TEMPORAL_ADDRESS") or os.environ.get("TEMPORAL_PROFILE")):
        return None
    from settings import connect_to_temporal_config

    return str(connect_to_temporal_config()["target_host"])


def ports(choices: list[str]) -> Ports:
    """`name=number` choices over the default ports."""
    chosen: dict[str, Any] = {}
    names = {name.rstrip("_"): name for name in Ports.model_fields}
    for choice in choices:
        name, _, number = choice.partition("=")
        if name == "all" and number == "0":
            chosen |= dict.fromkeys(Ports.model_fields, 0)
        elif (
            name not in names or not (number.isascii() and number.isdigit()) or int(number) > 65535
        ):
            raise CliError(f"--port {choice}: write NAME=NUMBER, NAME one of {', '.join(names)}")
        else:
            chosen[names[name]] = int(number)
    return Ports(**chosen)


def settings(arguments: Any) -> LaptopSettings:
    """The laptop cloud that `up` was asked for."""
    return LaptopSettings(
        state_dir=state_dir(),
        ports=ports(arguments.port),
        repository=Path(os.environ.get("RELEASE_REPOSITORY", ".")),
        release_branch=os.environ.get("RELEASE_BRANCH", "main"),
        clock_factor=arguments.clock,
        temporal_address=own_temporal(),
        task_queue=task_queue(),
    )


def up(wanted: LaptopSettings, *, attached: bool, first: str | None = None) -> LaptopState:
    """Everything runs, and both environments serve a first release."""
    policy = _first_commit(Commits(wanted.repository, wanted.release_branch), first)[1]
    released = {
        "service": policy.service,
        "functions": tuple(policy.functions),
        "api": policy.api,
    }
    wanted = wanted.model_copy(update=released)
    try:
        state = laptop.start(wanted, attached=attached, progress=lambda line: print(f"  {line}"))
    except AlreadyRunning:
        raise
    except LaptopError as error:
        raise Refused(str(error)) from error
    os.environ.update(state.environment())
    try:
        seed(state, first)
    except BaseException:
        laptop.stop(wanted.state_dir, progress=lambda line: None)
        raise
    return state


def down() -> bool:
    """Nothing of this folder's laptop cloud runs any more; False when nothing did."""
    return laptop.stop(state_dir(), progress=lambda line: print(f"  {line}"))


def seed(state: LaptopState, first: str | None) -> None:
    """Both environments exist; production's first release is the commit before the newest."""
    from cli import artifacts as artifacts_of
    from cli import production
    from infra.local.environment import (
        EnvironmentSpec,
        StackError,
        create_artifact_bucket,
        create_environment,
    )

    repository = Commits(state.repository, state.release_branch)
    sha, policy = _first_commit(repository, first)
    template = repository.template(sha, policy)
    create_artifact_bucket(policy.service, state.environment())
    artifacts: dict[str, str] = {}
    if not all(production.live(policy, name) for name in ("staging", "prod")):
        artifacts = artifacts_of.store(policy, artifacts_of.build(state.repository, policy, sha))
    artifacts |= artifacts_of.store(policy, artifacts_of.build_guard())
    for environment, url in (("staging", state.addresses.staging), ("prod", state.addresses.prod)):
        spec = EnvironmentSpec(
            service=policy.service,
            environment=environment,
            url=url,
            template=template,
            is_promoted=policy.infrastructure is not None,
            functions=tuple(policy.functions),
            price_feed=f"{state.addresses.price_feed}/api/v3",
            artifacts=artifacts,
            version=repository.version(sha),
            git_sha=sha,
            rate_limit=RATE_LIMIT_PER_MINUTE,
            alarm_period_seconds=alarm_period_seconds(state.clock_factor),
            symbols=SYMBOLS,
        )
        try:
            create_environment(spec, state.environment())
        except StackError as error:
            raise Refused(
                f"{error}; what is in {state_dir()} may be older than infra/template.yaml: "
                "remove that folder and start `up` again"
            ) from error
    now = production.live(policy, "prod")
    if now is not None:
        print(f"  production runs {now.release} ({now.sha[:12]})")


def _first_commit(repository: Commits, first: str | None) -> tuple[str, Policy]:
    wanted = [first] if first else [f"{repository.branch}~1", repository.branch]
    failure: CliError | None = None
    for revision in wanted:
        try:
            sha = repository.resolve(revision)
            return sha, repository.policy(sha)
        except CliError as error:
            failure = error
    raise failure or CliError("no commit to release first")

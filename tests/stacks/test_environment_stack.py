"""`up` makes an environment's stack once; later it leaves to promotions what is theirs."""

from collections.abc import Iterator

import pytest

from infra.local.environment_spec import EnvironmentSpec
from infra.local.stack import deploy_stack
from tests.stacks.stack_parts import API, ROOT, STACK, Cloud

HELLO = (ROOT / "examples/hello/infra/template.yaml").read_text()


@pytest.fixture
def spec(cloud: Cloud) -> Iterator[EnvironmentSpec]:
    """Production as it is to be when it is new; its zips are nowhere, as nothing runs them."""
    yield EnvironmentSpec(
        service="crypto-watch",
        environment="prod",
        url="http://127.0.0.1:1",
        price_feed="http://127.0.0.1:1",
        artifacts=dict.fromkeys(("api", "fetcher", "guard"), "ab" * 32),
        version="0.1.0",
        git_sha="a" * 40,
        rate_limit=100,
        alarm_period_seconds=60,
        symbols=["BTC"],
    )
    cloud.delete_production()


def memory(cloud: Cloud) -> int:
    """The API function's."""
    found: int = cloud.lambda_.get_function_configuration(FunctionName=API)["MemorySize"]
    return found


def rate_limit(cloud: Cloud) -> str:
    """The stack's parameter."""
    [stack] = cloud.cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    values = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
    return str(values["RateLimitPerMinute"])


def again(spec: EnvironmentSpec, **changed) -> EnvironmentSpec:
    """The next `up`'s, from a newer checkout: more memory in the template."""
    newer = spec.template.replace("MemorySize: 256", "MemorySize: 512")
    assert newer != spec.template
    return spec.model_copy(update={"template": newer, **changed})


def test_template_that_promotions_change_is_left_to_them(cloud, spec):
    """A newer checkout's template comes by its promotion; the parameters are `up`'s."""
    assert deploy_stack(cloud.cloudformation, spec)
    newer = again(spec, rate_limit=70, version="0.2.0")

    assert not deploy_stack(cloud.cloudformation, newer)

    assert (memory(cloud), rate_limit(cloud)) == (256, "70")
    configuration = cloud.lambda_.get_function_configuration(FunctionName=API)
    assert configuration["Environment"]["Variables"]["RELEASE_VERSION"] == "0.1.0"


def test_template_that_no_promotion_changes_is_changed_by_up(cloud, spec):
    """Of a service whose policy names none, somebody else has to."""
    deploy_stack(cloud.cloudformation, spec)

    assert not deploy_stack(cloud.cloudformation, again(spec, is_promoted=False))

    assert memory(cloud) == 512


def test_stack_of_another_service_has_its_own_template_and_alarms(cloud, spec):
    """It takes of the parameters those that it declares."""
    hello = spec.model_copy(update={"template": HELLO, "functions": ("api",)})

    assert deploy_stack(cloud.cloudformation, hello)

    assert set(cloud.alarms()) >= {
        f"crypto-watch-backend-prod-{name}"
        for name in ("lambda-errors", "api-5xx", "lambda-throttles")
    }

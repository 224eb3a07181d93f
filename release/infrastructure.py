"""Changes of a stack that travel with a release: what they are, which are refused, and the words.

Two kinds are refused. What would lose data or an address may be waived by a named role, for a
reason. What would move traffic may not: that is the ladder's, which judges every step of it.
"""

from release.change_set import (
    Action,
    InfrastructurePlan,
    InfrastructureWaiver,
    Replacement,
    ResourceChange,
)

ITEM = "infrastructure"
"""What a waiver of a refused change names as its item."""

# Types whose content, or whose address that others know, goes with the resource.
_STATEFUL = frozenset(
    {
        *("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket"),
        *(
            "AWS::Logs::LogGroup",
            "AWS::SecretsManager::Secret",
        ),
        *("AWS::KMS::Key", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Kinesis::Stream"),
        *("AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::EFS::FileSystem"),
        *("AWS::ElastiCache::ReplicationGroup", "AWS::OpenSearchService::Domain"),
        *("AWS::Cognito::UserPool", "AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"),
    }
)
# An update of these alone sends requests elsewhere.
_POINTERS = frozenset({"AWS::Lambda::Alias", "AWS::Lambda::Version"})
# What requests go through: gone or made anew, nobody is served, or by another than the alias.
_CARRIERS = frozenset(
    {
        "AWS::Lambda::Function",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
    }
)
_ROUTING = frozenset({"IntegrationUri", "Target"})  # properties that say who is asked
_MOST_SHOWN = 40


def objections(plan: InfrastructurePlan) -> tuple[str, ...]:
    """Why the changes need a waiver, one text for each: something with a state would be lost."""
    return tuple(
        f"{change.text()}: it holds data, or an address that others know"
        for change in plan.changes
        if change.type in _STATEFUL and _goes(change)
    )


def forbidden(plan: InfrastructurePlan) -> tuple[str, ...]:
    """Why the changes are refused whatever anybody says: they would move traffic by themselves."""
    return tuple(
        f"{change.text()}: it would move traffic past the ladder"
        for change in plan.changes
        if _moves_traffic(change)
    )


def uncovered(
    plan: InfrastructurePlan, waivers: tuple[InfrastructureWaiver, ...]
) -> tuple[str, ...]:
    """The objections that nobody has waived."""
    covered = {text for waiver in waivers for text in waiver.covers}
    return tuple(text for text in objections(plan) if text not in covered)


def diff_lines(plan: InfrastructurePlan) -> list[str]:
    """The changes as people read them, one each; of very many the first.

    What may follow from them, but for what is refused or may be replaced, is one line.
    """
    plain = [change for change in plan.changes if change.is_certain or _goes(change)]
    follows = [change.logical_id for change in plan.changes if change not in plain]
    lines = [change.text() for change in plain[:_MOST_SHOWN]]
    more = len(plain) - len(lines)
    return [
        *lines,
        *([f"and {more} more"] if more else []),
        *([f"and what may follow from it: {', '.join(follows)}"] if follows else []),
    ]


def _goes(change: ResourceChange) -> bool:
    return change.action is Action.REMOVE or change.replacement is not Replacement.NEVER


def _moves_traffic(change: ResourceChange) -> bool:
    if change.action in (Action.ADD, Action.IMPORT):
        return False
    if change.type in _POINTERS:
        return True
    routed = change.type in _CARRIERS and bool(_ROUTING & set(change.properties))
    replaced = change.type in _CARRIERS and (
        change.action is Action.REMOVE or change.replacement is Replacement.ALWAYS
    )
    return routed or replaced

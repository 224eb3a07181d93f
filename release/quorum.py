"""The quorum: which roles are asked, and whose yes fills them."""

from release.policy import Approval, When
from release.votes import RoleStanding


def roles_asked(approval: Approval, *, major: bool) -> tuple[str, ...]:
    """The roles that a release of this kind needs, in the order of the policy."""
    return tuple(name for name, role in approval.roles.items() if major or role.when is When.ALWAYS)


def standing(approval: Approval, voters: tuple[str, ...], *, major: bool) -> list[RoleStanding]:
    """Who fills which role, so that as many roles as possible are filled.

    `voters` in the order of their votes. Somebody who holds two roles fills one of them, or each
    if the policy lets one person stand for two.
    """
    asked = roles_asked(approval, major=major)
    if approval.one_person_two_roles:
        filled = {
            role: [name for name in voters if name in approval.roles[role].people] for role in asked
        }
    else:
        filled = _one_role_each(approval, voters, asked)
    return [
        RoleStanding(
            role=role,
            needed=approval.roles[role].needed,
            people=approval.roles[role].people,
            approved_by=tuple(filled[role]),
        )
        for role in asked
    ]


def _one_role_each(
    approval: Approval, voters: tuple[str, ...], asked: tuple[str, ...]
) -> dict[str, list[str]]:
    """A matching of people and roles by augmenting paths: nobody stands in the way of a quorum."""
    filled: dict[str, list[str]] = {role: [] for role in asked}

    def seat(name: str, tried: set[str]) -> bool:
        for role in asked:
            if role in tried or name not in approval.roles[role].people:
                continue
            tried.add(role)
            if len(filled[role]) < approval.roles[role].needed:
                filled[role].append(name)
                return True
            for other in list(filled[role]):
                if seat(other, tried):
                    filled[role][filled[role].index(other)] = name
                    return True
        return False

    for name in voters:
        seat(name, set())
    return filled


def is_complete(standings: list[RoleStanding]) -> bool:
    """Whether every role that is asked is filled."""
    return all(standing.is_filled for standing in standings)

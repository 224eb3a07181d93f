"""What the developer reads when a release goes back: what failed, what was seen, what to do."""

from release.checklist import Answer
from release.promotion import PromotionRequest, PromotionStatus
from release.verdict import Verdict

_STAGED = (
    "Production was not touched. Staging still runs this commit, so what was seen can be seen "
    "there again."
)


def needs_fix_report(status: PromotionStatus, request: PromotionRequest, reason: str) -> str:
    """The diagram's arrow back, in Markdown; it ends with the next command.

    `reason` is all there is where no test and no item failed.
    """
    failed = [(t.text, t.evidence) for t in status.tests if t.verdict is not Verdict.PASSED]
    title = "integration tests" if failed else "checklist"
    failed += [
        (f"{item.group}: {item.text}", item.evidence)
        for item in status.items
        if item.answer is Answer.FAILED
    ]
    passed = sum(item.answer is Answer.PASSED for item in status.items)
    open_ = [item.id for item in status.items if item.answer is Answer.INCONCLUSIVE]
    found = f"The {title} found:" if failed else f"It cannot be approved: {reason}."
    lines = [
        f"## {request.policy.service} {request.version} needs a fix",
        "",
        f"Commit `{request.sha}`, requested by {request.requested_by}. {found}",
        "",
        *(
            f"- **{text}**  \n  {evidence or 'no evidence was recorded'}"
            for text, evidence in failed
        ),
        "",
        _STAGED if status.staged_at else "Neither staging nor production runs this commit.",
    ]
    if status.items:
        lines.append(f"{passed} of {len(status.items)} checklist items passed.")
    if open_:
        lines.append(f"Could not be measured: {', '.join(open_)}.")
    lines += ["", "Fix it on main, then: `starter.py promote main --watch`"]
    return "\n".join(lines)

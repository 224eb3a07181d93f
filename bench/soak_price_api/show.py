"""What came of a soak, in words."""

import os
import platform
from typing import Any

from bench.soak_price_api.faults import Fate
from bench.soak_price_api.soak import Soaked


def text(soaked: Soaked) -> str:
    """The table, and whether the promise was kept."""
    rows = [(name.replace("_", " "), _cell(value)) for name, value in facts(soaked).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"| {name:<{widths[0]}} | {value:>{widths[1]}} |" for name, value in rows]
    ends = [f"BROKEN: {problem}" for problem in soaked.problems] or ["kept: all answered, no 5xx"]
    rule = f"|{'-' * (widths[0] + 2)}|{'-' * (widths[1] + 1)}:|"
    seen = [*soaked.answers.bad, *soaked.logged]
    return "\n".join([lines[0], rule, *lines[1:], "", *ends, *seen])


def facts(soaked: Soaked) -> dict[str, Any]:
    """Everything measured, for programs as well."""
    answers, fates = soaked.answers, soaked.fates
    calls = sum(fates.values())
    failed = calls - fates[Fate.ANSWERED]
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "seed": soaked.plan.seed,
        "limit_without_faults_per_s": round(soaked.limit, 1),
        "rate_asked_per_s": round(soaked.rate, 1),
        "seconds": round(answers.elapsed, 1),
        "requests": answers.sent,
        **{f"answers_{status}": count for status, count in sorted(answers.statuses.items())},
        "answers_5xx": answers.server_errors,
        "without_an_answer": answers.unanswered,
        **{f"lost_{why}": count for why, count in sorted(answers.lost.items())},
        **{
            f"p{share * 100:g}_ms": round(answers.quantile(share) * 1000)
            for share in (0.5, 0.9, 0.99, 0.999)
        },
        "slowest_ms": round(max(answers.seconds, default=0.0) * 1000),
        "dynamodb_calls": calls,
        "dynamodb_calls_failed_%": round(100 * failed / calls, 1) if calls else 0.0,
        **{f"calls: {fate.value}": fates[fate] for fate in Fate},
    }


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)

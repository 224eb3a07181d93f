"""The audit's charts: shapes in SVG that stretch, and their labels in HTML, which do not."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from cli.markup import Html, joined, tag
from release.audit import Audit, Fate, Rung
from release.promotion import Counts, StepJudgement
from release.sequential import ALPHA, SUSPICION
from release.text import duration, percent
from release.verdict import Verdict

CERTAIN = 1 / ALPHA
_TICKS = 4
_STEERING = ("pause", "resume", "finish-now", "abort")


def stages(audit: Audit) -> Html:
    """When each stage was, one under the other, and how long it took."""
    whole = max(audit.took, timedelta(seconds=1))
    rows = []
    for span in audit.stages:
        end = span.ended or audit.until
        left, wide = (span.begun - audit.begun) / whole * 100, (end - span.begun) / whole * 100
        bar = tag(
            "i",
            "",
            style=f"left:min({left:.2f}%,100% - 4px);width:max({wide:.2f}%,4px)",
            class_="bar",
        )
        still = "" if span.ended else " so far"
        rows.append(
            tag(
                "li",
                tag("b", span.stage),
                tag("span", bar, class_="track"),
                tag("span", f"{duration(end - span.begun) or '0 s'}{still}", class_="figure"),
                class_=f"stage {span.stage.replace(' ', '-')}",
            )
        )
    return tag("ol", *rows, class_="stages")


def traffic(audit: Audit) -> Html:
    """Both versions' shares of production's requests over time, as steps."""
    if not audit.shares:
        return tag("p", "No traffic was moved.", class_="none")
    begin, end = _window(audit)
    points = [(_place(share.at, begin, end), share.weight) for share in audit.shares]
    area = _steps(points)
    picture = tag(
        "svg",
        tag("rect", width=100, height=100, class_="old"),
        tag("path", d=f"{area} L100 100 L0 100 Z", class_="new"),
        tag("path", d=area, class_="edge", vector_effect="non-scaling-stroke"),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label="share of the new version over time",
    )
    marks = [
        tag("i", "", class_="mark", style=f"left:{_place(said.at, begin, end):.2f}%", title=text)
        for said in audit.said
        if said.kind in _STEERING and said.fate is Fate.APPLIED and said.at >= begin
        for text in [f"{said.kind} by {said.by}: {said.text}"]
    ]
    lines = [_line(100 - share, f"{share} %", "" if share else "zero") for share in (0, 50, 100)]
    times = [
        tag("span", f"{begin + (end - begin) * n / _TICKS:%H:%M:%S}", class_=f"tick t{n}")
        for n in range(_TICKS + 1)
    ]
    legend = tag(
        "p",
        tag("span", f"version {audit.canary or 'new'}", class_="key new"),
        tag("span", f"version {audit.baseline or 'old'}", class_="key old"),
        *([tag("span", "a message", class_="key message")] if marks else []),
        class_="legend",
    )
    return tag(
        "figure",
        legend,
        tag("div", picture, *lines, *marks, class_="plot"),
        tag("div", *times, class_="ticks"),
        class_="chart",
    )


def evidence(audit: Audit) -> Html:
    """Evidence at the end of each rung, on a log scale, between suspicion and certainty."""
    judged = [rung for rung in audit.rungs if rung.judgement is not None]
    if not judged:
        return tag("p", "No rung was judged.", class_="none")
    top = max([CERTAIN * 10, *(rung.judgement.evidence for rung in judged if rung.judgement)])
    columns = [_column(rung, top) for rung in judged]
    lines = [
        _line(_height(CERTAIN, top), f"{CERTAIN:g}: back", "limit"),
        _line(_height(SUSPICION, top), f"{SUSPICION:g}: a step back", "warn"),
        _line(_height(1, top), "1: no sign"),
    ]
    return tag(
        "figure",
        tag("div", *lines, *columns, class_="plot columns"),
        tag("div", *(tag("span", percent(r.weight)) for r in judged), class_="weights"),
        class_="chart",
    )


def errors(audit: Audit) -> Html:
    """Both versions' error rates per rung, side by side."""
    return _rates(audit, lambda judged: (judged.canary, judged.baseline))


def slow(audit: Audit) -> Html:
    """Both versions' shares of requests slower than the old p90 per rung, side by side."""
    return _rates(audit, lambda judged: (judged.slow_canary, judged.slow_baseline))


def _rates(audit: Audit, of: Callable[[StepJudgement], tuple[Counts, Counts]]) -> Html:
    judged = [of(rung.judgement) for rung in audit.rungs if rung.judgement is not None]
    weights = [percent(rung.weight) for rung in audit.rungs if rung.judgement is not None]
    if not any(new.requests or old.requests for new, old in judged):
        return joined()
    top = _nice(max(max(new.error_rate, old.error_rate) for new, old in judged))
    pairs = [
        tag(
            "span",
            _bar(old, top, "old"),
            _bar(new, top, "new"),
            class_="pair",
            title=f"{weight}: new {_rate(new)}, old {_rate(old)}",
        )
        for weight, (new, old) in zip(weights, judged, strict=True)
    ]
    lines = [_line(0, percent(top)), _line(50, percent(top / 2)), _line(100, "0 %", "zero")]
    legend = tag(
        "p",
        tag("span", "new version", class_="key new"),
        tag("span", "old version", class_="key old"),
        class_="legend",
    )
    return tag(
        "figure",
        legend,
        tag("div", *lines, *pairs, class_="plot columns"),
        tag("div", *(tag("span", weight) for weight in weights), class_="weights"),
        class_="chart",
    )


def _window(audit: Audit) -> tuple[datetime, datetime]:
    """From a little before traffic moves to a little after it came to rest."""
    begin = audit.shares[0].at
    last = max([audit.shares[-1].at, *(rung.ended or audit.until for rung in audit.rungs)])
    margin = max((last - begin) * 0.04, timedelta(seconds=1))
    return begin - margin, last + margin


def _place(moment: datetime, begin: datetime, end: datetime) -> float:
    return (moment - begin) / (end - begin) * 100


def _steps(points: list[tuple[float, float]]) -> str:
    height = 100.0
    path = f"M0 {height:g}"
    for x, weight in points:
        path += f" L{x:.2f} {height:g}"
        height = 100 - weight * 100
        path += f" L{x:.2f} {height:g}"
    return f"{path} L100 {height:g}"


def _line(top: float, text: str, class_: str = "") -> Html:
    """A horizontal line, `top` per cent from above, with its label."""
    label = tag("span", text)
    return tag("i", label, class_=f"line {class_}".strip(), style=f"top:{top:.2f}%")


def _height(value: float, top: float) -> float:
    """Per cent from above on a log scale that begins at a hundredth."""
    low, high = math.log10(0.01), math.log10(top)
    place = (math.log10(min(max(value, 0.01), top)) - low) / (high - low)
    return (1 - place) * 100


def _column(rung: Rung, top: float) -> Html:
    judged = rung.judgement
    assert judged is not None  # noqa: S101  only judged rungs have a column
    colour = "bad" if judged.verdict is not Verdict.PASSED else "warn" if judged.step_back else ""
    high = 100 - _height(judged.evidence, top)
    stem = tag("i", "", class_=f"stem {colour}".strip(), style=f"height:{high:.2f}%")
    title = f"{percent(rung.weight)}: {judged.evidence:.3g}, {judged.verdict.value}"
    return tag("span", stem, class_="pair", title=title)


def _bar(counts: Counts, top: float, class_: str) -> Html:
    high = counts.error_rate / top * 100
    style = f"height:max({high:.2f}%,2px)" if counts.failures else f"height:{high:.2f}%"
    return tag("i", "", class_=f"column {class_}", style=style)


def _rate(counts: Counts) -> str:
    return f"{percent(counts.error_rate)} of {counts.requests}"


def _nice(top: float) -> float:
    """The next of 1, 2 or 5 times a power of ten; 1 % at least."""
    steps = [factor * 10.0**power for power in range(-2, 1) for factor in (1, 2, 5)]
    return next((step for step in steps if step >= top), 1.0)

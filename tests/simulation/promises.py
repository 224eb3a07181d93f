"""The promises P1 to P8, each as a function of a run: what was seen that breaks it."""

from collections import Counter
from collections.abc import Callable, Iterator

from release.lease import Lease
from release.promotion import Outcome
from tests.simulation import plan as plans
from tests.simulation.cloud import API, FETCHER, Trouble, Write
from tests.simulation.interleaving import Run, Sent

FRESH_SECONDS = 90
BAKE_SECONDS = 235  # of the 240: the step's time begins when it is ordered
GUARDED_SECONDS = 70  # the guard looks every minute, and may have to look twice
BACK_SECONDS = 120  # of a rollback, once nothing stands in its way

Promise = Callable[[Run], Iterator[str]]


def ends(run: Run) -> Iterator[str]:
    """Whatever happens, a promotion ends, its task never fails, and its replay is the same."""
    if run.problem:
        yield run.problem


def p1_once(run: Run) -> Iterator[str]:
    """Every effect happens once, however often its activity was tried."""
    for function, count in Counter(name for name, _ in run.lambda_.published).items():
        if count > 1:
            yield f"{function} was published {count} times"
    by_place: dict[str, set[str]] = {}
    for place, key in run.places.kept:
        by_place.setdefault(place, set()).add(key)
    for place in ("tag", "changelog", "incident", "quarantine", "audit"):
        if len(by_place.get(place, ())) > 1:
            yield f"{place}: {sorted(by_place[place])}"
    for place in ("notice started", "notice announced", "notice shifting", "notice done"):
        if len(by_place.get(place, ())) > 1:
            yield f"{place} under several keys"
    moves = Counter(
        write.by.rsplit("/", 1)[0] + " at " + write.function
        for write in _changes(run)
        if _is_ours(write) and not write.by.startswith("roll_back")
    )
    for order, count in moves.items():
        if count > 1:
            yield f"{order} moved traffic {count} times"


def p2_fresh(run: Run) -> Iterator[str]:
    """No weight grows without a look at the alarms and the metrics that is at most 90 s old."""
    before = 0.0
    for write in _changes(run, API):
        asked_at = write.at
        grows = write.before and write.share_of(run.canary) > write.before.share_of(run.canary)
        if grows and _is_ours(write) and not _said(run, "finish_now", before, asked_at):
            looks = [at for at in run.cloudwatch.looks if at <= asked_at]
            if not looks or asked_at - looks[-1] > FRESH_SECONDS:
                age = f"{asked_at - looks[-1]:.0f} s" if looks else "never"
                yield f"{write.text} at {_at(run, write.at)}: the last look was {age} before"
        before = write.at


def p2_baked(run: Run) -> Iterator[str]:
    """A release completes only after it had all traffic for its whole bake, and was looked at."""
    changes = _changes(run, API)
    if _outcome(run) is not Outcome.COMPLETED or not changes:
        return
    whole = changes[-1]
    if whole.version == run.canary and run.closed_at - whole.at < BAKE_SECONDS:
        yield f"completed {run.closed_at - whole.at:.0f} s after {whole.text}"


def p2_guarded(run: Run) -> Iterator[str]:
    """Where a release fell silent the guard has the baseline back three minutes later."""
    for function in (API, FETCHER):
        writes = [w for w in run.lambda_.writes if w.function == function]
        for write, after in zip(writes, [*writes[1:], None], strict=False):
            lease = Lease.from_description(write.description)
            if lease is None:
                continue
            until = after.at if after else run.clock.now
            stale = lease.expires.timestamp()
            due = max(stale, _trouble_until(run, "lambda", stale)) + GUARDED_SECONDS
            if until > due:
                yield f"{write.text}: its lease was stale for {until - stale:.0f} s"


def p3_whole(run: Run) -> Iterator[str]:
    """When a promotion has ended each alias serves one version, the old or the new, as it says."""
    if run.promotion.closed == "terminated":
        return
    for function in (API, FETCHER):
        writes = [w for w in run.lambda_.writes if w.function == function]
        at_close = [w for w in writes if w.at <= run.closed_at]
        for when, last in (("at its close", at_close[-1:]), ("in the end", writes[-1:])):
            yield from (f"{when} {text}" for text in _not_whole(run, function, last))


def p3_whole_without_a_promotion(run: Run) -> Iterator[str]:
    """Also where it was terminated, which undoes nothing, no alias stays split."""
    for function in (API, FETCHER):
        last = run.serves(function)
        if not last.is_whole and not last.by.startswith("carol"):
            yield f"in the end {last.text}"


def p4_approved(run: Run) -> Iterator[str]:
    """Production is not touched without both leads' word, given for what was asked last."""
    writes = [w for w in run.lambda_.writes if w.function in (API, FETCHER) and _is_ours(w)]
    begun = [at for at, stage in run.stages if stage == "production deploy"]
    if not begun:
        if writes or any(function in (API, FETCHER) for function, _ in run.lambda_.published):
            yield "production was touched before the deploy began"
        return
    asked = max((r.at.timestamp() for r in _inbox(run) if r.kind == "void"), default=0.0)
    for name in ("alice", "bob"):
        if not any(_is_valid_vote(run, one, name, asked, begun[0]) for one in run.sent):
            yield f"deployed without a word of {name}"
    for one in run.sent:
        who = _payload(one).get("approver")
        if one.say.name == "reject" and who in ("alice", "bob") and one.at < begun[0] - 1:
            yield f"deployed although {who} had rejected it"
    if run.plan.failed or (run.plan.inconclusive and not _waived(run)):
        yield "deployed although an item of the checklist is open"


def p5_back(run: Run) -> Iterator[str]:
    """A rollback is through as soon as Lambda and a worker let it, and nothing moves after it."""
    begun = [at for at, stage in run.stages if stage == "rollback"]
    if not begun or run.promotion.closed == "terminated":
        return
    due = _free(run, begun[0]) + BACK_SECONDS
    for function in (API, FETCHER):
        moves = [w for w in _changes(run, function) if w.at > due and _is_ours(w)]
        for write in moves:
            yield f"{write.text} at {_at(run, write.at)}, rollback due by {_at(run, due)}"


def p6_recorded(run: Run) -> Iterator[str]:
    """One record, one tag and one section of the changelog of a release; of another, no tag."""
    if run.status is None or run.promotion.closed == "terminated":
        return
    count = Counter(place for place, _ in set(run.places.kept))
    is_live = _outcome(run) is Outcome.COMPLETED
    for place in ("tag", "changelog"):
        if count[place] != int(is_live):
            yield f"{count[place]} of {place}, and the promotion is {_outcome(run)}"
    if count["audit"] != 1:
        yield f"{count['audit']} audits"
    went_back = bool(run.status.steps) and not is_live
    if count["incident"] != int(went_back):
        yield f"{count['incident']} incident packets, {len(run.status.steps)} rungs"
    told = {key.split()[0] for place, key in run.places.kept if place == "deployment"}
    if ("prod" in told) != (is_live or went_back):
        yield f"deployment records of {sorted(told)}, and the promotion is {_outcome(run)}"


def p7_true(run: Run) -> Iterator[str]:
    """What the status says is what AWS has."""
    if run.status is None or run.promotion.closed == "terminated":
        return
    said = [round(step.weight, 4) for step in run.status.steps]
    for write in _changes(run, API):
        if not _is_ours(write) or write.by.startswith("roll_back"):
            continue
        share = round(write.share_of(run.canary), 4)
        while said and said[0] != share:
            said.pop(0)
        if not said:
            yield f"{write.text} at {_at(run, write.at)} is not among the rungs"
            return
    closed = [w for w in run.lambda_.writes if w.function == API and w.at <= run.closed_at]
    last = closed[-1] if closed else None
    share = last.share_of(run.canary) if last else 0.0
    theirs = last is not None and not _is_ours(last)
    if abs(run.status.weight - share) > 1e-4 and not theirs:
        yield f"the status says {run.status.weight}, the alias {share}"


def p8_answered(run: Run) -> Iterator[str]:
    """Every message that the server took was applied, or refused with a reason."""
    if run.promotion.closed == "terminated":
        return
    taken = Counter(_KINDS[one.say.name] for one in run.sent if one.taken)
    found = Counter(r.kind for r in _inbox(run) if r.by != "the promotion")
    for kind, count in taken.items():
        if found[kind] != count:
            yield f"{count} of {kind} were sent, {found[kind]} are in the record"
    for one in run.sent:
        answer = run.promotion.updates.get(one.update_id)
        if one.update_id and one.taken and not _is_answer(answer):
            yield f"update {one.say.name} was never answered ({answer!r})"
    for record in _inbox(run):
        if not record.accepted and not record.text:
            yield f"{record.kind} of {record.by} was refused without a reason"


def p8_heeded(run: Run) -> Iterator[str]:
    """Who was told that it stops does not see it completed."""
    if _outcome(run) is not Outcome.COMPLETED:
        return
    for record in _inbox(run):
        stops = record.kind in ("abort", "reject", "supersede") and record.accepted
        if stops and record.by != "the promotion":
            yield f"completed, and {record.kind} of {record.by} was accepted"


def never_overwritten(run: Run) -> Iterator[str]:
    """What somebody else wrote is never overwritten, but by a rollback from the release's own."""
    foreign = _foreign(run)
    for write in run.lambda_.writes:
        before = write.before
        if not _is_ours(write) or before not in foreign or _is_copy(before):
            continue
        known = {before.version, *dict(before.weights)} <= {
            run.baseline(write.function),
            run.canary,
        }
        if not write.by.startswith("roll_back") or not known:
            yield f"{write.by} overwrote {before.text} of {before.by}"


def rolls_back_when_due(run: Run) -> Iterator[str]:
    """A release that fails half of its requests never completes; a good one does, undisturbed."""
    outcome = _outcome(run)
    is_bad = run.plan.quality in ("bad", "crashes") and run.plan.requests_per_second >= 20
    if is_bad and outcome is Outcome.COMPLETED:
        yield "completed, and half of its requests fail"
    if run.plan.quality != "good" or not _is_harmless(run.plan):
        return
    if outcome is not Outcome.COMPLETED:
        reason = run.status.reason if run.status else ""
        yield f"nothing was wrong with it, and it is {outcome}: {reason}"


def lane_is_free(run: Run) -> Iterator[str]:
    """Some minutes after a promotion has ended, however, the next one may move production."""
    if run.lane is not None and run.lane.lane.holders:
        yield f"the lane is still held by {[one.what for one in run.lane.lane.holders]}"


PROMISES: tuple[Promise, ...] = (
    ends,
    p1_once,
    p2_fresh,
    p2_baked,
    p2_guarded,
    p3_whole,
    p3_whole_without_a_promotion,
    p4_approved,
    p5_back,
    p6_recorded,
    p7_true,
    p8_answered,
    p8_heeded,
    never_overwritten,
    rolls_back_when_due,
    lane_is_free,
)


def broken(run: Run) -> list[str]:
    """Every promise that the run breaks, by name."""
    promises = PROMISES if not run.problem else PROMISES[:1]
    return [f"{one.__name__}: {text}" for one in promises for text in one(run)]


_KINDS = {
    "approve": "approve",
    "reject": "reject",
    "sign_off": "sign-off",
    "waive": "waive",
    "withdraw": "withdraw",
    "supersede": "supersede",
    "abort": "abort",
    "pause": "pause",
    "resume": "resume",
    "finish_now": "finish-now",
}


def _is_ours(write: Write) -> bool:
    return "/" in write.by


def _is_copy(write: Write) -> bool:
    """Somebody wrote what was there: nobody can tell it from the release's own write."""
    before = write.before
    assert before is not None
    return (write.version, write.weights, write.description) == (
        before.version,
        before.weights,
        before.description,
    )


def _not_whole(run: Run, function: str, found: list[Write]) -> Iterator[str]:
    if not found or found[0].by.startswith("carol"):
        return
    last = found[0]
    if not last.is_whole:
        yield last.text
        return
    wanted = run.canary if _outcome(run) is Outcome.COMPLETED else run.baseline(function)
    is_anothers = last.by == "guard" or any(w.function == function for w in _foreign(run))
    if last.version != wanted and not is_anothers:
        yield f"{last.text}, and the promotion is {_outcome(run)}"
    if last.description and last.by != "guard":
        yield f"{function} still has a lease: {last.description}"


def _foreign(run: Run) -> list[Write]:
    """What somebody wrote after the baseline was recorded; before, it is the baseline."""
    begun = [at for at, stage in run.stages if stage == "production deploy"]
    return [write for write in run.foreign if begun and write.at > begun[0]]


def _changes(run: Run, *functions: str) -> list[Write]:
    """Production's writes that changed what is served."""
    return [
        w
        for w in run.lambda_.writes
        if w.function in (functions or (API, FETCHER))
        and w.before is not None
        and (w.before.version, w.before.weights) != (w.version, w.weights)
    ]


def _said(run: Run, name: str, since: float, until: float) -> bool:
    return any(s.say.name == name and since - 5 <= s.at <= until for s in run.sent)


def _trouble_until(run: Run, service: str, since: float) -> float:
    """When the service's troubles were over that somebody met who began at `since`."""
    ends_at = since
    for begin, end in run.troubles(service):
        if begin <= ends_at + 65:
            ends_at = max(ends_at, end)
    return ends_at


def _free(run: Run, since: float) -> float:
    """From when on neither Lambda nor a dead worker stood in the way."""
    free = since
    for begin, end in sorted([*run.troubles("lambda"), *run.worker_down]):
        if begin <= free + BACK_SECONDS:
            free = max(free, end)
    return free


def _outcome(run: Run) -> Outcome | None:
    return run.status.outcome if run.status else None


def _inbox(run: Run) -> list[object]:
    return list(run.status.inbox) if run.status else []


def _payload(one: Sent) -> dict[str, object]:
    payload = one.say.payloads[0] if one.say.payloads else None
    return payload if isinstance(payload, dict) else {}


def _is_valid_vote(run: Run, one: Sent, name: str, asked: float, begun: float) -> bool:
    payload = _payload(one)
    if one.say.name != "approve" or payload.get("approver") != name or not one.taken:
        return False
    if not asked - 60 <= one.at <= begun:
        return False
    if run.plan.needs_codes and not any(who == name for who, _, _ in run.places.accepted_codes):
        return False
    digest = payload.get("digest")
    if digest and run.status and not run.status.digest.startswith(str(digest)):
        return False
    return not any(
        w.say.name == "withdraw"
        and _payload(w).get("by") == name
        and not _payload(w).get("item")
        and one.at + 1 < w.at < begun - 1
        for w in run.sent
    )


def _waived(run: Run) -> bool:
    open_ = set(run.plan.inconclusive)
    return open_ <= {r.text.split(":")[0] for r in _inbox(run) if r.kind == "waive" and r.accepted}


def _is_answer(answer: str | None) -> bool:
    if not answer:
        return False
    kind, _, text = answer.partition(" ")
    return kind == "completed" or (kind == "rejected" and bool(text))


def _at(run: Run, at: float) -> str:
    from tests.simulation.clockwork import START

    return f"{at - START:.1f} s"


# not a sign-off: made again, it is another answer, for which nobody has approved yet
_HARMLESS_MESSAGES = {"approve", "resume"}


def _is_harmless(plan: plans.Plan) -> bool:
    if plan.failed or plan.inconclusive or plan.smoke != "passed" or not plan.people_decide:
        return False
    return sum(_costs(one.what) for one in plan.happenings) <= 1


def _costs(what: object) -> float:
    """How much of a disturbance that has to be borne this is; more than 1 may end a release."""
    match what:
        case plans.WorkerDies(seconds=seconds) | plans.WorkerFreezes(seconds=seconds):
            return seconds / 45
        case plans.Bad(service="lambda", seconds=seconds):
            return seconds / 15
        case plans.Bad(service="cloudwatch", trouble=trouble, seconds=seconds):
            return seconds / (30 if trouble is Trouble.DOWN else 15)
        case plans.Bad(service="s3" | "github" | "git", seconds=seconds):
            return seconds / 10
        case plans.Bad(service="dynamodb" | "slack"):
            return 0.1
        case plans.Say(name=name, payloads=payloads):
            is_malformed = len(payloads) != 1 or not isinstance(payloads[0], dict)
            if is_malformed and name not in ("abort", "pause", "resume"):
                return 0
            first = payloads[0] if payloads else {}
            if not isinstance(first, dict):
                return 2
            if first.get("code"):  # while one proof is checked another one is refused
                return 2
            return 0 if name in _HARMLESS_MESSAGES and first.get("passed", True) else 2
    return 2

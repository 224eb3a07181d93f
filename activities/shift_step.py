"""One step of the ladder: the weight moves, and is watched until `release` has judged it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.inputs import ShiftInput, StepInput, StepResult
from activities.measure import Bucket, Measure
from activities.traffic import Traffic
from activities.watch import Watch
from release import lease
from release.alarms import alarm_prefix
from release.judgement import (
    Looked,
    is_shared_incident,
    judge_blindness,
    judge_end,
    judge_harm,
)
from release.policy import ShiftStep
from release.promotion import Counts, StepJudgement
from release.sequential import CRASHED, FAILED, Metric, Pair, metrics
from release.verdict import Verdict

_RENEW_EVERY = lease.DURATION / 4
_HEARTBEAT_SECONDS = 1.0


class ShiftSteps:
    """Moves production's traffic, one weight at a time."""

    def __init__(self, traffic: Traffic, cloudwatch: Any) -> None:
        self._traffic = traffic
        self._watch = Watch(cloudwatch)
        self._measure = Measure(cloudwatch)

    @activity.defn
    def shift_step(self, order: StepInput) -> StepResult:
        """The canary has the weight, and the step is judged; its counts can be watched live.

        A later attempt goes on where the last step ended: the weight is absolute, what was counted
        since is read again, and at least one fresh measurement is made before a step passes.

        Raises:
            ApplicationError: not retryable, when somebody else changed the alias: `Traffic.move`.
        """
        return _Step(order, self._traffic, self._watch, self._measure).run()


class _Step:
    """One attempt of one step."""

    def __init__(self, order: StepInput, traffic: Traffic, watch: Watch, measure: Measure) -> None:
        self._order = order
        self._traffic, self._watch, self._measure = traffic, watch, measure
        self._progress = order.progress
        self._tested: tuple[Metric, ...] = metrics(order.shift.routes)
        self._look = Looked(timedelta(0), 0, Counts(), Counts())
        self._alias = order.expected
        self._ignored = order.progress.preexisting_alarms
        self._incident_since: datetime | None = None

    def run(self) -> StepResult:
        measured_at = renewed_at = self._move()
        while True:
            now = datetime.now(UTC)
            try:
                judgement = self._judge(now)
                measured_at = now
            except (ClientError, BotoCoreError) as error:
                activity.logger.warning("could not measure: %s", error)
                blind = now - measured_at
                judgement = judge_blindness(self._order.shift, blind, str(error), self._look)
            self._heartbeat()
            if judgement is not None:
                return StepResult(judgement=judgement, alias=self._alias, progress=self._progress)
            if now - renewed_at >= _RENEW_EVERY or self._must_tell_the_guard():
                renewed_at = self._renew(now, renewed_at)
            self._wait(now)

    def _move(self) -> datetime:
        order, now = self._order, datetime.now(UTC)
        self._alias = self._traffic.move(
            ShiftInput(
                baseline=order.baseline,
                canary=order.watched.canary,
                weight=order.weight,
                expected=order.expected,
                lease=self._lease(now),
            )
        )
        weights = (*self._progress.weights[-4:], (order.since, order.weight))
        self._progress = self._progress.model_copy(update={"weights": weights})
        # a first attempt's lease may be old already: it is renewed at the first look
        return now if self._alias.revision_id != order.expected.revision_id else order.since

    def _lease(self, now: datetime) -> lease.Lease:
        watched = self._order.watched
        prefix = f"{alarm_prefix(watched.service, watched.environment)}-"
        suffixes = tuple(name.removeprefix(prefix) for name in self._ignored)
        expires = (now + lease.DURATION).replace(microsecond=0)
        return self._order.lease.model_copy(update={"expires": expires, "ignored": suffixes})

    def _renew(self, now: datetime, renewed_at: datetime) -> datetime:
        try:
            self._alias = self._traffic.renew(self._alias, self._lease(now))
        except (ClientError, BotoCoreError) as error:
            activity.logger.warning("the lease could not be renewed: %s", error)
            return renewed_at
        return now

    def _must_tell_the_guard(self) -> bool:
        found = lease.Lease.from_description(self._alias.description)
        return found is not None and found.ignored != self._lease(datetime.now(UTC)).ignored

    def _judge(self, now: datetime) -> StepJudgement | None:
        order, shift = self._order, self._order.shift
        step_back = self._count(now)
        firing = self._firing(now)
        test = self._progress.test
        self._look = replace(
            self._look,
            elapsed=now - order.since,
            judged=max(test.total(metric).canary_exposed for metric in (FAILED, CRASHED)),
            step_back=step_back and not order.is_pause,
            firing=firing,
            incident_for=now - self._incident_since if self._incident_since else None,
        )
        rung = ShiftStep(canary_weight=order.weight, min_duration=order.min_duration)
        harm = judge_harm(shift, self._tested, test, self._look)
        if harm is not None:
            return harm
        ended = judge_end(shift, rung, order.next_weight, self._tested, test, self._look)
        if ended is not None and order.is_pause:
            reason = f"paused for {order.min_duration.total_seconds():.0f} s, and nobody resumed it"
            return ended.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})
        return ended

    def _count(self, now: datetime) -> bool:
        """What has closed since the last look is in the test; whether to step back."""
        progress, order = self._progress, self._order
        test, step_back = progress.test, False
        answers = self._measure.answers(order, progress.answers_until, now)
        crashes = self._measure.crashes(order, progress.crashes_until, now)
        for bucket in crashes:
            self._add(bucket, order.crash_bucket_seconds)
        for bucket in answers:
            self._add(bucket, order.bucket_seconds)
            step_back = test.tick(self._tested)
        ends = {
            "answers_until": _end(answers, order.bucket_seconds, progress.answers_until),
            "crashes_until": _end(crashes, order.crash_bucket_seconds, progress.crashes_until),
        }
        self._progress = progress.model_copy(update=ends)
        return step_back and order.weight < 1

    def _add(self, bucket: Bucket, seconds: int) -> None:
        weight = self._weight_during(bucket.start, bucket.start + timedelta(seconds=seconds))
        for metric in self._tested:
            pair = bucket.pairs.get(metric.name)
            if pair is None:
                continue
            self._progress.test.add(metric, weight, pair)
            if metric.name in (FAILED.name, CRASHED.name):
                self._show(metric.name, pair)

    def _show(self, name: str, pair: Pair) -> None:
        """Both versions' counts of this step, for people: answers, and crashes among them."""
        look = self._look
        answers = name == FAILED.name
        self._look = replace(
            look,
            canary=_plus(look.canary, pair.canary_exposed * answers, pair.canary_events),
            baseline=_plus(look.baseline, pair.baseline_exposed * answers, pair.baseline_events),
        )

    def _weight_during(self, start: datetime, end: datetime) -> float:
        """The largest configured in the bucket: the cautious one for a canary's failure."""
        weights = self._progress.weights
        later = [*(since for since, _ in weights[1:]), datetime.max.replace(tzinfo=UTC)]
        spans = zip(weights, later, strict=True)
        return max(
            (weight for (since, weight), until in spans if since < end and until > start),
            default=0.0,
        )

    def _firing(self, now: datetime) -> tuple[str, ...]:
        """Alarms that went red after the release began; what was red and cleared counts again."""
        watched = self._order.watched
        red = self._watch.firing(watched.service, watched.environment)
        preexisting = tuple(n for n in self._progress.preexisting_alarms if n in red)
        self._progress = self._progress.model_copy(update={"preexisting_alarms": preexisting})
        new = tuple(name for name in red if name not in preexisting)
        shared = bool(new) and is_shared_incident(self._progress.test, self._tested)
        self._incident_since = (self._incident_since or now) if shared else None
        self._ignored = (*preexisting, *new) if shared else preexisting
        return new

    def _heartbeat(self) -> None:
        look = self._look
        evidence = round(self._progress.test.strength(self._tested), 2)
        activity.heartbeat({"canary": look.canary, "baseline": look.baseline, "evidence": evidence})

    def _wait(self, now: datetime) -> None:
        """Until the next bucket, or the end of the step's time; a cancellation ends it at once."""
        left = (self._order.min_duration - (now - self._order.since)).total_seconds()
        poll = min(self._order.bucket_seconds, left) if left > 0 else self._order.bucket_seconds
        deadline = now + timedelta(seconds=max(poll, 0.05))
        while (rest := (deadline - datetime.now(UTC)).total_seconds()) > 0:
            activity.wait_for_cancelled_sync(min(rest, _HEARTBEAT_SECONDS))
            if activity.is_cancelled():
                raise CancelledError("the step's watching was cancelled")
            self._heartbeat()  # a cancellation comes with the answer to a heartbeat


def _plus(counts: Counts, requests: int, failures: int) -> Counts:
    return Counts(requests=counts.requests + requests, failures=counts.failures + failures)


def _end(buckets: list[Bucket], seconds: int, before: datetime) -> datetime:
    return buckets[-1].start + timedelta(seconds=seconds) if buckets else before

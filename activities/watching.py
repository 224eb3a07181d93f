"""Watching a release while its traffic moves, whoever moves it: counted, judged, told live."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.clock import ServerClock
from activities.inputs import StepInput
from activities.measure import Bucket, Measure
from activities.watch import AlarmsGoneError, Watch
from release.judgement import Looked, is_shared_incident, judge_blindness, judge_harm
from release.promotion import Counts, StepJudgement
from release.sequential import BUCKET_SECONDS, CRASHED, FAILED, SLOW, Metric, Pair, metrics

_HEARTBEAT_SECONDS = 1.0
_POLL_SECONDS = 2.0  # buckets close every five, but an alarm is to be seen sooner


class Watching:
    """What is known of one attempt of one step, and whether the new version does harm."""

    def __init__(self, order: StepInput, cloudwatch: Any) -> None:
        self._order = order
        self._watch, self._measure = Watch(cloudwatch), Measure(cloudwatch)
        self._incident_since: datetime | None = None
        self.clock = ServerClock()
        self.measured_at = self.clock.now()
        self.progress = order.progress
        self.tested: tuple[Metric, ...] = metrics(order.shift.routes)
        self.look = Looked(timedelta(0), 0, Counts(), Counts())
        self.ignored = order.progress.preexisting_alarms

    def weigh(self, since: datetime, weight: float) -> None:
        """From `since` on the canary has this weight."""
        self.progress = self.progress.weighed(since, weight)

    def begin(self, since: datetime, weight: float) -> None:
        """The step's time runs from `since` on.

        The canary may have had the weight earlier: an attempt that died has told nobody.
        """
        self.weigh(self._order.since, weight)
        self._order = self._order.model_copy(update={"since": since})

    def judge(self, now: datetime) -> StepJudgement | None:
        """A failed judgement if the new version is seen to be worse, else None.

        Raises:
            ClientError, BotoCoreError, AlarmsGoneError: nothing could be measured; later it may.
        """
        order = self._order
        step_back = self._count(now)
        firing = self._firing(now)
        test = self.progress.test
        self.look = replace(
            self.look,
            elapsed=now - order.since,
            judged=max(test.total(metric).canary_exposed for metric in (FAILED, CRASHED)),
            step_back=step_back and not order.is_pause and not order.is_comparison,
            firing=firing,
            weight=order.weight,
            can_compare=order.can_compare,
            comparing=order.is_comparison and now - order.since < order.min_duration,
            incident_for=now - self._incident_since if self._incident_since else None,
        )
        return judge_harm(order.shift, self.tested, test, self.look)

    def unless_blind(
        self, judge: Callable[[datetime], StepJudgement | None], now: datetime
    ) -> StepJudgement | None:
        """What `judge` says; while nothing can be measured, what is said of that."""
        try:
            judgement = judge(now)
        except (ClientError, BotoCoreError, AlarmsGoneError) as error:
            activity.logger.warning("could not measure: %s", error)
            blind = now - self.measured_at
            return judge_blindness(self._order.shift, blind, str(error), self.look)
        self.measured_at = now
        return judgement

    def heartbeat(self, **more: Any) -> None:
        """What is known can be watched live."""
        evidence = round(self.progress.test.strength(self.tested), 2)
        look = self.look
        activity.heartbeat(
            {"canary": look.canary, "baseline": look.baseline, "evidence": evidence} | more
        )

    def wait(self, now: datetime, **more: Any) -> None:
        """Until the next look at the alarms, or the end of the step's time.

        Raises:
            CancelledError: at once, when the activity is cancelled.
        """
        left = (self._order.min_duration - (now - self._order.since)).total_seconds()
        poll = min(_POLL_SECONDS, self._order.bucket_seconds)
        poll = min(poll, left) if left > 0 else poll
        deadline = now + timedelta(seconds=max(poll, 0.05))
        while (rest := (deadline - self.clock.now()).total_seconds()) > 0:
            activity.wait_for_cancelled_sync(min(rest, _HEARTBEAT_SECONDS))
            if activity.is_cancelled():
                raise CancelledError("the step's watching was cancelled")
            self.heartbeat(**more)  # a cancellation comes with the answer to a heartbeat

    def _count(self, now: datetime) -> bool:
        """What has closed since the last look is in the test; whether to step back."""
        progress, order = self.progress, self._order
        test, step_back = progress.test, False
        answers = self._measure.answers(order, progress.answers_until, now)
        crashes = self._measure.crashes(order, progress.crashes_until, now)
        for bucket in crashes:
            self._add(bucket, order.crash_bucket_seconds)
        for bucket in answers:
            self._add(self._of_production(bucket), order.bucket_seconds)
            step_back = test.tick(self.tested)
        ends = {
            "answers_until": _end(answers, order.bucket_seconds, progress.answers_until),
            "crashes_until": _end(crashes, order.crash_bucket_seconds, progress.crashes_until),
        }
        self.progress = progress.model_copy(update=ends)
        return step_back and order.weight < 1

    def _of_production(self, bucket: Bucket) -> Bucket:
        """What a version without a weight answered were the smoke test's requests: they say nothing
        of production. In the bucket in which the first small weight begins each slow one of them
        would weigh like a proof, so that bucket's are left out as well.
        """
        if any(weight and since <= bucket.start for since, weight in self.progress.weights):
            return bucket
        alone = {
            metric: pair._replace(canary_exposed=0, canary_events=0)
            for metric, pair in bucket.pairs.items()
        }
        return bucket._replace(pairs=alone)

    def _add(self, bucket: Bucket, seconds: int) -> None:
        weight = self._weight_during(bucket.start, bucket.start + timedelta(seconds=seconds))
        for metric in self.tested:
            pair = bucket.pairs.get(metric.name)
            if pair is None:
                continue
            self.progress.test.add(metric, weight, pair, max(1, seconds // BUCKET_SECONDS))
            if metric.name in (FAILED.name, CRASHED.name):
                self._show(metric.name, pair)
            elif metric.name == SLOW.name:
                self._show_slow(pair)

    def _show(self, name: str, pair: Pair) -> None:
        """Both versions' counts of this step, for people: answers, and crashes among them."""
        look = self.look
        answers = name == FAILED.name
        self.look = replace(
            look,
            canary=_plus(look.canary, pair.canary_exposed * answers, pair.canary_events),
            baseline=_plus(look.baseline, pair.baseline_exposed * answers, pair.baseline_events),
        )

    def _show_slow(self, pair: Pair) -> None:
        look = self.look
        self.look = replace(
            look,
            slow_canary=_plus(look.slow_canary, pair.canary_exposed, pair.canary_events),
            slow_baseline=_plus(look.slow_baseline, pair.baseline_exposed, pair.baseline_events),
        )

    def _weight_during(self, start: datetime, end: datetime) -> float:
        """The largest configured in the bucket: the cautious one for a canary's failure."""
        weights = self.progress.weights
        later = [*(since for since, _ in weights[1:]), datetime.max.replace(tzinfo=UTC)]
        spans = zip(weights, later, strict=False)  # none, before the first weight
        return max(
            (weight for (since, weight), until in spans if since < end and until > start),
            default=0.0,
        )

    def _firing(self, now: datetime) -> tuple[str, ...]:
        """Alarms that went red after the release began; what was red and cleared counts again."""
        watched = self._order.watched
        red = self._watch.firing(watched.service, watched.environment)
        preexisting = tuple(n for n in self.progress.preexisting_alarms if n in red)
        self.progress = self.progress.model_copy(update={"preexisting_alarms": preexisting})
        new = tuple(name for name in red if name not in preexisting)
        test, weight = self.progress.test, self._order.weight
        shared = bool(new) and is_shared_incident(test, self.tested, weight)
        self._incident_since = (self._incident_since or now) if shared else None
        # the guard is told not to act on them either
        self.ignored = (*preexisting, *new) if shared or self._order.is_comparison else preexisting
        return new


def _plus(counts: Counts, requests: int, failures: int) -> Counts:
    return Counts(requests=counts.requests + requests, failures=counts.failures + failures)


def _end(buckets: list[Bucket], seconds: int, before: datetime) -> datetime:
    return buckets[-1].start + timedelta(seconds=seconds) if buckets else before

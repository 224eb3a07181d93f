"""The HTTP side as an ASGI application, in the protocol that boto3 picks for CloudWatch.

That is AWS JSON 1.0 (botocore 1.44): `X-Amz-Target` names the call, times are epoch seconds, NaN is
a string, bodies over 10 KiB may be gzipped. A refused call has its code in `x-amzn-query-error`
too: boto3 looks there, as CloudWatch's errors go by the codes of its older query protocol.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import uuid4

from infra.local.cloudwatch.alarms_api import Alarms
from infra.local.cloudwatch.errors import (
    AwsError,
    InvalidActionError,
    MissingParameterError,
)
from infra.local.cloudwatch.evaluation import evaluate_all, range_of
from infra.local.cloudwatch.get_metrics import get_metric_data, get_metric_statistics, list_metrics
from infra.local.cloudwatch.put_metric_data import put_metric_data
from infra.local.cloudwatch.request import read_body, read_params
from infra.local.cloudwatch.store import Store

Message = dict[str, Any]
_log = logging.getLogger(__name__)
_SERVICE = "GraniteServiceVersion20100801."
_CONTENT_TYPE = "application/x-amz-json-1.0"
_RAW_DATA, _HISTORY = 3 * 3600, 30 * 24 * 3600  # seconds kept
_PRUNE_EVERY = 60.0  # seconds
_REQUIRED: dict[str, tuple[str, ...]] = {
    "PutMetricData": ("Namespace",),
    "GetMetricData": ("MetricDataQueries", "StartTime", "EndTime"),
    "GetMetricStatistics": ("Namespace", "MetricName", "StartTime", "EndTime", "Period"),
    "ListMetrics": (),
    "PutMetricAlarm": ("AlarmName",),
    "PutCompositeAlarm": ("AlarmName", "AlarmRule"),
    "DescribeAlarms": (),
    "DescribeAlarmHistory": (),
    "DeleteAlarms": ("AlarmNames",),
    "SetAlarmState": ("AlarmName", "StateValue", "StateReason"),
}
# Parameters of a call that is served, which would change its meaning and are not had here.
_UNSUPPORTED = {
    "ActionPrefix",
    "ActionsSuppressor",
    "ChildrenOfAlarmName",
    "EntityMetricData",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationWindow",
    "ParentsOfAlarmName",
    "ThresholdMetricId",
    "WarmUpConfiguration",
}


class CloudWatch:
    """Serves the calls, and evaluates all alarms every `tick` seconds."""

    def __init__(self, store: Store, ingest_delay: float, tick: float, region: str) -> None:
        self._store, self._ingest_delay, self._tick = store, ingest_delay, tick
        alarms = Alarms(store, f"arn:aws:cloudwatch:{region}:000000000000:alarm:")
        self._calls: dict[str, Callable[[Message], Message]] = {
            "PutMetricData": partial(put_metric_data, store),
            "GetMetricData": partial(get_metric_data, store),
            "GetMetricStatistics": partial(get_metric_statistics, store),
            "ListMetrics": partial(list_metrics, store),
            "PutMetricAlarm": alarms.put_metric_alarm,
            "PutCompositeAlarm": alarms.put_composite_alarm,
            "DescribeAlarms": alarms.describe_alarms,
            "DescribeAlarmHistory": alarms.describe_alarm_history,
            "DeleteAlarms": alarms.delete_alarms,
            "SetAlarmState": alarms.set_alarm_state,
        }

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = await read_body(receive)
        status, headers, answer = self._answer(scope["path"], dict(scope["headers"]), body)
        headers |= {"x-amzn-requestid": str(uuid4()), "content-length": str(len(answer))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": answer})

    async def _lifespan(
        self,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        await receive()
        ticking = asyncio.create_task(self._evaluate_for_ever())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _evaluate_for_ever(self) -> None:
        pruned = 0.0
        while True:
            now = time.time()
            try:
                evaluate_all(self._store, now, self._ingest_delay)
                if now - pruned >= _PRUNE_EVERY:
                    self._prune(now)
                    pruned = now
            except Exception:  # the next tick may well succeed, and without ticks no alarm fires
                _log.exception("an evaluation failed")
            await asyncio.sleep(self._tick)

    def _prune(self, now: float) -> None:
        alarms = (record for record in self._store.alarms().values())
        ranges = [range_of(r["configuration"]) for r in alarms if r["type"] == "MetricAlarm"]
        kept = max([_RAW_DATA, *(seconds + self._ingest_delay for seconds in ranges)])
        self._store.prune(now - kept, now - _HISTORY)

    def _answer(
        self, path: str, headers: dict[bytes, bytes], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if path == "/_ready":
            return 200, {"content-type": "text/plain"}, b"ready\n"
        protocol = {"content-type": _CONTENT_TYPE}
        try:
            return 200, protocol, json.dumps(self._call(headers, body)).encode()
        except AwsError as error:
            refused, message = error, error.message
        except Exception:
            _log.exception("%s failed", headers.get(b"x-amz-target"))
            refused, message = (
                AwsError(""),
                "This is a defect of the local CloudWatch; see its log.",
            )
        fault = "Receiver" if type(refused) is AwsError else "Sender"
        protocol["x-amzn-query-error"] = f"{refused.code};{fault}"
        document = {"__type": f"com.amazonaws.cloudwatch#{refused.code}", "message": message}
        return (
            500 if fault == "Receiver" else refused.status,
            protocol,
            json.dumps(document).encode(),
        )

    def _call(self, headers: dict[bytes, bytes], body: bytes) -> Message:
        target = headers.get(b"x-amz-target", b"").decode("latin-1")
        if not target.startswith(_SERVICE):
            raise InvalidActionError("Only the AWS JSON protocol of CloudWatch is served here.")
        name = target.removeprefix(_SERVICE)
        if name not in self._calls:
            raise InvalidActionError(f"The call {name} is not supported by the local CloudWatch.")
        params = read_params(headers, body)
        if unsupported := _UNSUPPORTED & params.keys():
            named = ", ".join(sorted(unsupported))
            raise InvalidActionError(f"{named} of {name} is not supported by the local CloudWatch.")
        if params.get("EvaluateLowSampleCountPercentile") == "ignore":
            raise InvalidActionError(
                f"{name} cannot ignore low sample counts in the local CloudWatch."
            )
        for required in _REQUIRED[name]:
            if required not in params:
                raise MissingParameterError(f"The parameter {required} is required.")
        return self._calls[name](params)

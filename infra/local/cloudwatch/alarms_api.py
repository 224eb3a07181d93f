"""The alarm calls: put, describe, history, delete, set state."""

import json
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from infra.local.cloudwatch.alarm_rules import INSUFFICIENT_DATA, STATES
from infra.local.cloudwatch.alarm_validation import check_composite_alarm, check_metric_alarm
from infra.local.cloudwatch.errors import (
    InvalidFormatError,
    InvalidNextTokenError,
    ResourceNotFoundError,
    ValidationError,
)
from infra.local.cloudwatch.evaluation import evaluate_composites, set_state
from infra.local.cloudwatch.store import Store

Params = dict[str, Any]
_ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
_MOST_NAMES, _PAGE, _LARGEST_PAGE = 100, 50, 100


class Alarms:
    """The calls that need to know in which region and account the alarms are."""

    def __init__(self, store: Store, arn_prefix: str) -> None:
        self._store, self._arn_prefix = store, arn_prefix

    def put_metric_alarm(self, params: Params) -> Params:
        """A new alarm starts at INSUFFICIENT_DATA; a changed one keeps its state."""
        check_metric_alarm(self._store, params)
        return self._put(
            "MetricAlarm", {"Dimensions": []} if "MetricName" in params else {}, params
        )

    def put_composite_alarm(self, params: Params) -> Params:
        """As for a metric alarm."""
        check_composite_alarm(self._store, params)
        return self._put("CompositeAlarm", {}, params)

    def _put(self, kind: str, defaults: Params, params: Params) -> Params:
        name, now = params["AlarmName"], time.time()
        known = self._store.alarms().get(name)
        if known and known["type"] != kind:
            raise ValidationError(f"An alarm of another type has the name {name}.")
        actions: Params = {"ActionsEnabled": True} | {kind_: [] for kind_ in _ACTIONS}
        record = known or {
            "type": kind,
            "state": INSUFFICIENT_DATA,
            "reason": "Unchecked: Initial alarm creation",
            "updated": now,
            "transitioned": now,
        }
        record |= {"configuration": actions | defaults | params, "configured": now}
        done = "updated" if known else "created"
        self._save(name, record, f'Alarm "{name}" {done}')
        return {}

    def _save(self, name: str, record: Params, summary: str) -> None:
        data = {"version": "1.0", "updatedAlarm": record["configuration"]}
        with self._store.transaction():
            self._store.save_alarm(name, record)
            self._store.add_history(
                name, record["type"], "ConfigurationUpdate", summary, data, time.time()
            )

    def describe_alarms(self, params: Params) -> Params:
        """A page in the order of names; only metric alarms unless other types are asked for."""
        names = params.get("AlarmNames")
        if names and "AlarmNamePrefix" in params:
            raise ValidationError("AlarmNames and AlarmNamePrefix cannot be specified together.")
        if len(names or []) > _MOST_NAMES:
            raise ValidationError(f"AlarmNames must not have more than {_MOST_NAMES} members.")
        types = params.get("AlarmTypes") or ["MetricAlarm"]
        found = [
            (name, record)
            for name, record in self._store.alarms().items()
            if record["type"] in types
            and (not names or name in names)
            and name.startswith(params.get("AlarmNamePrefix", ""))
            and record["state"] == params.get("StateValue", record["state"])
        ]
        page, token = _page(found, lambda alarm: alarm[0], params)
        answer: Params = {"MetricAlarms": [], "CompositeAlarms": []}
        for name, record in page:
            answer[record["type"] + "s"].append(self._api(name, record))
        return answer | token

    def _api(self, name: str, record: Params) -> Params:
        configuration = {
            key: value for key, value in record["configuration"].items() if key != "Tags"
        }
        reason_data = {"StateReasonData": record["reason_data"]} if "reason_data" in record else {}
        return (
            configuration
            | reason_data
            | {
                "AlarmArn": self._arn_prefix + name,
                "AlarmConfigurationUpdatedTimestamp": record["configured"],
                "StateValue": record["state"],
                "StateReason": record["reason"],
                "StateUpdatedTimestamp": record["updated"],
                "StateTransitionedTimestamp": record["transitioned"],
            }
        )

    def describe_alarm_history(self, params: Params) -> Params:
        """A page, newest first unless asked otherwise; a deleted alarm's history is still there."""
        types = params.get("AlarmTypes") or ["MetricAlarm"]
        start, end = params.get("StartDate", 0), params.get("EndDate", math.inf)
        lines = [
            line
            for line in self._store.history(params.get("AlarmName"))
            if line["alarm_type"] in types
            and line["item_type"] == params.get("HistoryItemType", line["item_type"])
            and start <= line["time"] <= end
        ]
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        sign = -1 if newest_first else 1
        lines.sort(key=lambda line: sign * line["id"])
        page, token = _page(lines, lambda line: sign * line["id"], params)
        return {"AlarmHistoryItems": [_history_api(line) for line in page]} | token

    def delete_alarms(self, params: Params) -> Params:
        """None of the names is an alarm; a name that was none is no error."""
        names = params["AlarmNames"]
        if len(names) > _MOST_NAMES:
            raise ValidationError(f"AlarmNames must not have more than {_MOST_NAMES} members.")
        alarms = self._store.alarms()
        with self._store.transaction():
            for name in alarms.keys() & set(names):
                summary, data = f'Alarm "{name}" deleted', {"version": "1.0"}
                kind = alarms[name]["type"]
                self._store.delete_alarm(name)
                self._store.add_history(
                    name, kind, "ConfigurationUpdate", summary, data, time.time()
                )
        return {}

    def set_alarm_state(self, params: Params) -> Params:
        """The state holds until the next evaluation, which is why it suits only tests."""
        name, state = params["AlarmName"], params["StateValue"]
        record = self._store.alarms().get(name)
        if record is None:
            raise ResourceNotFoundError(f"Alarm {name} does not exist")
        if state not in STATES:
            raise ValidationError(f"The value {state} for StateValue is not one of {STATES}.")
        data = _reason_data(params.get("StateReasonData", "{}"))
        now = time.time()
        set_state(self._store, name, record, state, params["StateReason"], data, now)
        evaluate_composites(self._store, now)
        return {}


def _page(
    items: Iterable[Any], key: Callable[[Any], Any], params: Params
) -> tuple[list[Any], Params]:
    """The items after the token's key, and the token of the next page if there is one."""
    size = params.get("MaxRecords", _PAGE)
    if not 1 <= size <= _LARGEST_PAGE:
        raise ValidationError(f"MaxRecords must be 1 to {_LARGEST_PAGE}.")
    try:
        after = json.loads(params["NextToken"]) if "NextToken" in params else None
        rest = [item for item in items if after is None or key(item) > after]
    except (TypeError, ValueError):
        raise InvalidNextTokenError("The NextToken is not valid.") from None
    page = rest[:size]
    return page, {"NextToken": json.dumps(key(page[-1]))} if len(rest) > size else {}


def _history_api(line: Params) -> Params:
    return {
        "AlarmName": line["alarm"],
        "AlarmType": line["alarm_type"],
        "Timestamp": line["time"],
        "HistoryItemType": line["item_type"],
        "HistorySummary": line["summary"],
        "HistoryData": line["data"],
    }


def _reason_data(text: str) -> Params:
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError):
        raise InvalidFormatError("StateReasonData must be a JSON object.") from None

"""The rollback alarms, asked for once in a run and only when somebody wants to know."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


class Alarms:
    """Which of the named alarms are red, as CloudWatch said when it was first asked."""

    def __init__(self, cloudwatch: Any, names: tuple[str, ...]) -> None:
        self._cloudwatch = cloudwatch
        self._names = names
        self._red: list[str] | None = None
        self.problem = ""
        """Why the alarms say less than they should, if they do."""

    def red(self) -> list[str]:
        """Those in ALARM. None, when CloudWatch cannot be read: a lease may still be stale."""
        if self._red is None:
            self._red = []
            try:
                self._red = self._read()
            except (BotoCoreError, ClientError) as error:
                self.problem = f"CloudWatch cannot be read: {error}"
        return self._red

    def _read(self) -> list[str]:
        if not self._names:  # no names would mean every alarm of the account
            return []
        answer = self._cloudwatch.describe_alarms(
            AlarmNames=list(self._names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", [])
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
        if missing := [name for name in self._names if name not in states]:
            self.problem = f"there is no alarm {', '.join(missing)}"
        return [name for name in self._names if states.get(name) == "ALARM"]

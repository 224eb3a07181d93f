"""What the bad version wrote to its log: a handful of lines that tell of errors, keys masked."""

import re
import time
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from activities.aws import error_code
from activities.checks.logs import Line, LogReader
from activities.checks.monitoring import error_in, json_object
from release.api_keys import mask_keys
from release.incident import Facts, LogSample
from release.text import one_line

_MOST_BYTES = 4 * 1024 * 1024
_MOST_SAMPLES = 8
_LONGEST_LINE = 400
_LOOK_BACK = timedelta(hours=3)


def log_samples(logs: Any, facts: Facts) -> tuple[LogSample, ...]:
    """The kinds of errors in the bad versions' logs, the most frequent first."""
    reader = LogReader(logs, time.sleep, _MOST_BYTES)
    since = max(facts.since, facts.ended_at - _LOOK_BACK)
    samples: dict[tuple[str, str], LogSample] = {}
    for function, version in facts.bad.items():
        for line in sorted(_lines(reader, function, version, since), key=lambda line: line.at):
            text = _said(line.text)
            if text is None:
                continue
            key = (function, re.sub(r"[0-9a-f]*\d[0-9a-f-]*", "#", text))
            times = samples[key].times + 1 if key in samples else 1
            samples[key] = LogSample(at=line.at, function=function, text=text, times=times)
    found = sorted(samples.values(), key=lambda sample: sample.times, reverse=True)
    return tuple(found[:_MOST_SAMPLES])


def _lines(reader: LogReader, function: str, version: str, since: datetime) -> tuple[Line, ...]:
    try:
        return reader.read([f"/aws/lambda/{function}"], since, version).lines
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return ()  # it has never written a line
        raise


def _said(text: str) -> str | None:
    """What the line says went wrong, with its exception's words and place; None for no error."""
    summary = error_in(text)
    if summary is None:
        return None
    exception = (json_object(text) or {}).get("exception")
    if isinstance(exception, dict):
        frames = re.findall(r'File "[^"]*?([^/"]+)", line (\d+)', str(exception.get("stack", "")))
        place = " ({}:{})".format(*frames[-1]) if frames else ""
        summary = f"{summary}: {exception.get('message', '')}{place}"
    return one_line(mask_keys(summary), _LONGEST_LINE)

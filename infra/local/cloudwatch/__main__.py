"""The laptop's small CloudWatch: what `boto3.client("cloudwatch", endpoint_url=...)` talks to.

    python -m infra.local.cloudwatch --port 4568 --database FILE --ingest-delay 8 --tick 5

Calls: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics, PutMetricAlarm,
PutCompositeAlarm, DescribeAlarms, DescribeAlarmHistory, DeleteAlarms, SetAlarmState. Any other
answers `InvalidAction` with its name. `GET /_ready` answers 200.

Alarms are evaluated every tick over closed periods: those whose end is `--ingest-delay` ago (AWS
itself is 60 to 120 s late). Samples are kept for 3 hours, or for as long as an alarm looks back;
history for 30 days. What was answered survives a kill -9.

It differs from AWS in that nothing is delivered to alarm actions, in that anyone may put into the
`AWS/` namespaces, in strict operands of metric math (see metric_math.py), in exact nearest-rank
percentiles, in having only TC(x:y) and PR(x:y), with fixed values, of the statistics on ranges, and
in not requiring a signature.
"""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

import uvicorn

from infra.local.cloudwatch.server import CloudWatch
from infra.local.cloudwatch.store import Store


def main() -> None:
    """Serves until SIGTERM, then exits with 0."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.cloudwatch")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--ingest-delay", type=float, required=True, help="seconds")
    parser.add_argument("--tick", type=float, required=True, help="seconds")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    # uvicorn stops by itself and then raises the signal again: without this the exit code is -15.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    arguments.database.parent.mkdir(parents=True, exist_ok=True)
    region = os.environ.get("AWS_REGION", "eu-west-1")
    cloudwatch = CloudWatch(
        Store(str(arguments.database)), arguments.ingest_delay, arguments.tick, region
    )
    uvicorn.run(
        cloudwatch,
        host="127.0.0.1",
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="info",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()

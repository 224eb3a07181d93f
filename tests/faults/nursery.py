"""Forks real workers from a process that has imported everything: `python nursery.py <tree>`.

A worker of one's own costs a second and a half of imports; here it costs a fork. It is the same
`worker.main()` in a process of its own, which can be killed like any other. One JSON object a line:
`{"environment": …, "log": …}` in, the new worker's pid out.
"""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from pathlib import Path

import boto3

sys.path.insert(0, sys.argv[1])  # the tree whose worker it is

import worker

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Until the standard input closes."""
    _warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a killed worker
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _work(order["environment"], order["log"])
        print(pid, flush=True)


def _warm() -> None:
    """What boto3 reads from its files is read once, here."""
    for name in ("lambda", "s3", "cloudwatch", "ssm", "secretsmanager", "logs"):
        boto3.client(name, region_name="eu-west-1")
    for name in ("dynamodb", "events", "codedeploy"):
        boto3.client(name, region_name="eu-west-1")


def _work(environment: dict[str, str], log: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    if "LD_PRELOAD" in environment:  # takes effect in a new program only
        program = str(Path(sys.argv[1]) / "worker.py")
        os.execve(sys.executable, [sys.executable, program], environment)
    try:
        asyncio.run(worker.main(worker.TemporalSettings.from_environment()))
    finally:
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()

"""The real parts that the front door's tests stand on: ministack, a metrics recorder, functions."""

import gzip
import hashlib
import http.client
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.parsers import RpcV2CBORParser

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".venv" / "envs"
BUCKET = "artifacts"
SERVICE = "shop"
ACCESS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-west-1"}

# One handler for all: the event, or an HTTP request's body, says what to do.
HANDLER = '''
import json, os, sys, time
if os.environ.get("BREAK_INIT") == "raise":
    raise RuntimeError("no settings")
if os.environ.get("BREAK_INIT") == "exit":
    os._exit(7)

def handler(event, context):
    asked = json.loads(event["body"]) if event.get("body", "").startswith("{") else event
    do = asked.get("do")
    if do == "raise":
        raise ValueError("broken on purpose")
    if do == "sleep":
        time.sleep(asked["seconds"])
    if do == "exit":
        os._exit(3)
    if do == "crash":
        os.kill(os.getpid(), 11)
    if do == "print":
        print(asked["text"])
    if do == "answer":
        return asked["answer"]
    if do == "large":
        return "x" * (6 * 1024 * 1024 + 1000)
    if do == "environment":
        return dict(os.environ)
    if do == "context":
        return {"arn": context.invoked_function_arn, "version": context.function_version,
                "left_ms": context.get_remaining_time_in_millis(), "id": context.aws_request_id,
                "pid": os.getpid()}
    if do == "echo":
        return {"statusCode": 200, "body": json.dumps(event)}
    return {"statusCode": 200, "headers": {"content-type": "text/plain"},
            "body": os.environ.get("LABEL", "")}
'''


def until[T](read: Callable[[], T], seconds: float = 15) -> T:
    """The first true value that `read` gives; fails when none came in time."""
    deadline = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
    return value

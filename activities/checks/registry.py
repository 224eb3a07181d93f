"""Every check by its name; adding one is its function and a line here."""

from activities.checks import data, documentation, functional, monitoring, performance, security
from activities.checks.cache import cache
from activities.checks.context import CheckFunction
from activities.checks.rate_limit import rate_limit

CHECKS: dict[str, CheckFunction] = {
    "endpoints": functional.endpoints,
    "authentication": functional.authentication,
    "rate-limit": rate_limit,
    "health": functional.health,
    "error-format": functional.error_format,
    "cache": cache,
    "price-latency": performance.price_latency,
    "health-latency": performance.health_latency,
    "memory": performance.memory,
    "dynamodb-latency": performance.dynamodb_latency,
    "price-feed": performance.price_feed,
    "price-updates": data.price_updates,
    "timestamps": data.timestamps,
    "required-fields": data.required_fields,
    "precision": data.precision,
    "invalid-key": security.invalid_key,
    "missing-key": security.missing_key,
    "masked-keys": security.masked_keys,
    "https": security.https,
    "logs": monitoring.logs,
    "metrics": monitoring.metrics,
    "alarms": monitoring.alarms,
    "alarm-thresholds": monitoring.alarm_thresholds,
    "log-errors": monitoring.log_errors,
    "openapi": documentation.openapi,
    "changelog": documentation.changelog,
    "deployment-notes": documentation.deployment_notes,
    "rollback-plan": documentation.rollback_plan,
    "deployed": documentation.deployed,
}

LONG_WAIT = frozenset({"rate-limit"})
"""Waits for a minute's end: runs beside all the others."""

AFTERWARDS = frozenset(
    {
        *("memory", "dynamodb-latency", "masked-keys"),
        *("logs", "metrics", "alarm-thresholds", "log-errors"),
    }
)
"""Read what the requests of the other checks have left in logs and metrics: run after those."""

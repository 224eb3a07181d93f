"""The checks of the day after a release, each by its name in `release.toml`."""

from activities.checks import day_before, production
from activities.checks.production import ProductionFunction
from release.checklist import ProductionCheck

PRODUCTION_CHECKS: dict[ProductionCheck, ProductionFunction] = {
    ProductionCheck.HEALTH: production.health,
    ProductionCheck.ENDPOINTS: production.endpoints,
    ProductionCheck.ALARMS: production.alarms,
    ProductionCheck.TRAFFIC: production.traffic,
    ProductionCheck.ERROR_RATE: day_before.error_rate,
    ProductionCheck.LATENCY: day_before.latency,
    ProductionCheck.PRICE_UPDATES: production.price_updates,
    ProductionCheck.LOGS: production.logs,
    ProductionCheck.ANOMALIES: day_before.anomalies,
    ProductionCheck.RATE_LIMIT: production.rate_limit,
    ProductionCheck.CACHE: production.cache,
    ProductionCheck.METRICS: day_before.metrics,
}

"""`starter.py report`, on a real table and a real repository."""

import json
from datetime import UTC, datetime, timedelta

from release.deployment import Rung
from tests.record.conftest import back, served
from tests.record.test_record_commands import repository, run, starter, state_dir, tables

__all__ = ["repository", "run", "starter", "state_dir", "tables"]

NOW = datetime.now(UTC).replace(microsecond=0)


def test_report_has_the_four_figures(run, tables, repository):
    """Two that serve and one that went back after a bad minute, in a week."""
    first, second, third = (repository.commit(f"fix: number {n}") for n in range(3))
    prod, later = tables("prod"), NOW + timedelta(minutes=-30)
    prod.record([served("1.2.2", NOW - timedelta(days=3), first)])
    prod.record([served("1.2.3", NOW - timedelta(days=1), second)])
    ramp = (Rung(weight=0.1, at=later, verdict="failed"),)
    gone = back("1.2.4", later + timedelta(minutes=1), commit=third)
    prod.record([gone.model_copy(update={"deployed_at": later, "ramp": ramp, "promotion": "p"})])

    done = run("report", "--since", "7d")

    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "deployment frequency 2 a week 2 came to serve all traffic" in text
    assert "change failure rate 33.33 % 1 of 3 that met users went back" in text
    assert "time to restore 1 min median" in text


def test_report_for_programs_is_json(run, tables, repository):
    """Lead time is from the commit's own time in git."""
    sha = repository.commit("fix: a price")
    made = datetime.fromtimestamp(int(repository.git("show", "-s", "--format=%ct", sha)), UTC)
    tables("prod").record([served("1.2.2", made + timedelta(minutes=-5), sha)])

    done = run("report", "--json")

    report = json.loads(done.stdout)
    assert (report["service"], report["deployments"]) == ("crypto-watch", 1)
    assert report["lead_time"] == "-PT5M"


def test_bad_time_is_bad_input(run, tables, repository):
    """What is no stretch of time is said with an example; nothing is read."""
    repository.commit()

    for given in ("soon", "0d", "-1d", "99999d"):
        done = run("report", f"--since={given}")
        assert (done.returncode, done.stdout) == (2, ""), given
        assert "--since" in done.stderr

"""The alert rules and the dashboard in ``deploy/prometheus/`` work with the metrics of the site."""

import json
import re
import signal
import subprocess
from contextlib import suppress
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg

from accounts.common import metrics
from tests.support.missing import find, missing
from tests.support.process import LATER_SECONDS, within
from tests.support.proxies import DEPLOY
from tests.support.services import Service
from tests.support.site import Site
from tests.support.steps import join

FOLDER = DEPLOY / "prometheus"
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
TOKEN = "figures-for-the-monitoring-of-this-site"


def test_promtool_accepts_the_alerts_and_they_fire_when_they_should():
    promtool = find("promtool") or missing("promtool")
    words = [promtool, "test", "rules", "authsite.rules.test.yml"]
    done = subprocess.run(words, cwd=FOLDER, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus(Service):
    """A Prometheus server that scrapes a site each second, with alerts that need not last."""

    name, programs, stop_signal = "Prometheus", ("prometheus",), signal.SIGTERM

    def __init__(self, site):
        super().__init__()
        self.config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{self.folder}/authsite.rules.yml"],
            "scrape_configs": [
                {
                    "job_name": "authsite",
                    "authorization": {"credentials": TOKEN},
                    "static_configs": [{"targets": [f"127.0.0.1:{site.port}"]}],
                }
            ],
        }

    def command(self):
        rules = (FOLDER / "authsite.rules.yml").read_text()
        (self.folder / "authsite.rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
        (self.folder / "prometheus.yml").write_text(json.dumps(self.config))
        options = f"--config.file={self.folder}/prometheus.yml --storage.tsdb.path={self.folder}"
        return [self.program, *options.split(), f"--web.listen-address=127.0.0.1:{self.port}"]

    def answers(self):
        # It listens before it can answer: until then, each query gets a 503.
        with suppress(OSError):
            return urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10).status == 200
        return False

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(query)}"
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}


def test_prometheus_evaluates_each_alert_and_panel_and_tells_of_faults(postgres):
    with Site(DATABASE_URL=postgres.database(), METRICS_TOKEN=TOKEN) as site:
        join(site, site.client(), "alice")
        with psycopg.connect(site.env["DATABASE_URL"]) as fault:
            fault.execute(
                "INSERT INTO accounts_export "
                "(id, user_id, created_at, due_at, attempts, steps_done, steps, size) SELECT "
                "id, id, now() - interval '2 h', now() + interval '1 h', 1, 0, 1, 0 "
                "FROM accounts_user"
            )
        with Prometheus(site) as prometheus:
            late = {"AuthsiteExportLate", "AuthsiteDailyJobLate"}
            assert within(LATER_SECONDS, lambda: prometheus.firing() == late), prometheus.firing()
            for panel in PANELS:
                for target in panel["targets"]:
                    # Nothing has been refused yet, and no command has succeeded.
                    may_be_empty = re.search(r"rate\(| > 0", target["expr"])
                    found = prometheus.ask("query", query=target["expr"])["result"]
                    assert found or may_be_empty, target["expr"]
            (group,) = prometheus.ask("rules")["groups"]
            assert {rule["health"] for rule in group["rules"]} == {"ok"}
            site.stop()
            assert within(LATER_SECONDS, lambda: "AuthsiteDown" in prometheus.firing())


def test_alerts_and_dashboard_name_only_metrics_that_exist():
    metrics.count_request("me/", "GET", 200, 0.1)
    metrics.LIMITS_HIT.labels("login")
    exported = metrics.text().decode()
    expressions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    rules = (FOLDER / "authsite.rules.yml").read_text()
    named = set(re.findall(r"\bauthsite_\w+", " ".join([*expressions, rules])))

    assert len(named) > len(PANELS) / 2
    assert {
        name for name in named if not re.search(rf"^# TYPE {family(name)} ", exported, re.M)
    } == set()


def family(name):
    """Return the name of a metric without the suffix of a histogram's series."""
    return re.sub(r"_(count|bucket|sum)$", "", name)

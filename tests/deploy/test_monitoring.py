"""The alert rules and the dashboard in ``deploy/prometheus/`` work with the metrics of the site."""

import json
import re
import subprocess

from accounts.common import metrics
from tests.support.missing import find, missing
from tests.support.proxies import DEPLOY

FOLDER = DEPLOY / "prometheus"


def test_promtool_accepts_the_alerts_and_they_fire_when_they_should():
    promtool = find("promtool") or missing("promtool")
    words = [promtool, "test", "rules", "authsite.rules.test.yml"]
    done = subprocess.run(words, cwd=FOLDER, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboard_name_only_metrics_that_exist():
    metrics.count_request("me/", "GET", 200, 0.1)
    metrics.LIMITS_HIT.labels("login")
    exported = metrics.text().decode()
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = (FOLDER / "authsite.rules.yml").read_text()
    named = set(re.findall(r"\bauthsite_\w+", " ".join([*expressions, rules])))

    assert len(named) > len(dashboard["panels"]) / 2
    assert {
        name for name in named if not re.search(rf"^# TYPE {family(name)} ", exported, re.M)
    } == set()


def family(name):
    """Return the name of a metric without the suffix of a histogram's series."""
    return re.sub(r"_(count|bucket|sum)$", "", name)

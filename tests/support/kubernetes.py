"""The manifests of ``deploy/kubernetes``."""

from typing import Any

import yaml

from tests.support.proxies import DEPLOY

MANIFESTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "kubernetes/authsite.yaml").read_text())[
    "items"
]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def pods() -> dict[str, dict[str, Any]]:
    """Return the pods by the names of the objects that make them."""
    specs = {
        item["metadata"]["name"]: item["spec"].get("jobTemplate", item)["spec"]
        for item in MANIFESTS
        if item["kind"] in {"Deployment", "Job", "CronJob"}
    }
    return {name: spec["template"]["spec"] for name, spec in specs.items()}

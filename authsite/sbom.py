"""``python -m authsite.sbom``: print a software bill of materials (CycloneDX 1.6, JSON).

It lists the packages in ``requirements.txt``, each with its license and with the hashes of the
files that pip accepts. Packages for other platforms have no license in the list.
"""

import json
import re
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from authsite import __version__

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\n]*((?:\n {4}--hash=sha256:[0-9a-f]{64}[^\n]*)*)", re.M
)
HASH = re.compile(r"sha256:([0-9a-f]{64})")


def document(requirements: str, made_at: datetime) -> dict[str, Any]:
    """Return the bill of materials for a compiled requirements file with this text."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": made_at.isoformat(timespec="seconds"),
            "component": {
                "type": "application",
                "name": "authsite",
                "version": __version__,
                "licenses": [{"expression": "BSD-3-Clause"}],
            },
        },
        "components": [_component(*pin) for pin in PIN.findall(requirements)],
    }


def _component(name: str, version: str, hashes: str) -> dict[str, Any]:
    url = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    files = [
        {"type": "distribution", "url": url, "hashes": [{"alg": "SHA-256", "content": content}]}
        for content in HASH.findall(hashes)
    ]
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": version,
        "purl": url,
        "licenses": _licenses(name),
        "externalReferences": files,
    }


def _licenses(name: str) -> list[dict[str, Any]]:
    """Return the SPDX expression of an installed package, or else the names of its licenses."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return []
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = about.get_all("Classifier") or []
    names = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    return [{"license": {"name": text}} for text in names or [about.get("License")] if text]


if __name__ == "__main__":
    made = document((ROOT / "requirements.txt").read_text(), datetime.now(UTC))
    json.dump(made, sys.stdout, indent=2)

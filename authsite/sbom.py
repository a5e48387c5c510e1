"""``python -m authsite.sbom``: print a software bill of materials (CycloneDX 1.6, JSON).

It lists what ``requirements.txt`` installs, each package with the hashes of the files that pip
accepts for it.
"""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\n]*((?:\n {4}--hash=sha256:[0-9a-f]{64}[^\n]*)*)", re.M
)
HASH = re.compile(r"sha256:([0-9a-f]{64})")


def document(requirements: str, made_at: datetime) -> dict[str, Any]:
    """Return the bill of materials for the text of a compiled requirements file."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": made_at.isoformat(timespec="seconds"),
            "component": {"type": "application", "name": "authsite"},
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
        "externalReferences": files,
    }


if __name__ == "__main__":
    made = document((ROOT / "requirements.txt").read_text(), datetime.now(UTC))
    json.dump(made, sys.stdout, indent=2)

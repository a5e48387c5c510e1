"""The software bill of materials lists what is installed."""

from datetime import UTC, datetime
from importlib import metadata

from authsite import sbom


def test_the_bill_of_materials_lists_every_pinned_package_with_every_hash_that_pip_accepts() -> (
    None
):
    requirements = (sbom.ROOT / "requirements.txt").read_text()
    parts = sbom.document(requirements, datetime.now(UTC))["components"]

    assert len(parts) == sum(line[:1].isalnum() for line in requirements.splitlines())
    assert sum(len(part["externalReferences"]) for part in parts) == requirements.count("sha256:")
    known = {part["name"]: part["version"] for part in parts}
    django = metadata.requires("Django") or []
    assert known["django"] == metadata.version("Django")
    for name in ("asgiref", "sqlparse"):
        assert any(line.startswith(name) for line in django)
        assert known[name] == metadata.version(name)
    licenses = {part["name"]: part["licenses"] for part in parts}
    assert licenses["django"] == [{"expression": "BSD-3-Clause"}]
    without = {name for name, found in licenses.items() if not found}
    # Its metadata names none.
    assert {name for name in without if [*metadata.distributions(name=name)]} == {"zxcvbn-rs-py"}

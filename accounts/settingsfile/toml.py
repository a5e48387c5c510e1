"""Writes TOML, which the standard library only reads."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def table(name: str, key: str, values: Mapping[str, Any]) -> str:
    """Return the table ``[name.key]`` with ``values``."""
    lines = (f"{name} = {text(value)}\n" for name, value in values.items())
    return f"[{name}.{text(key)}]\n{''.join(lines)}"


def text(value: Any) -> str:
    """Return ``value``: a text, a number, a boolean, an aware time, or a list or dict of these."""
    match value:
        case dict():
            return f"{{{', '.join(f'{text(key)} = {text(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(text, value))}]"
        case datetime():
            return value.isoformat()
        case _:
            # Basic strings are JSON's, but TOML does not allow surrogates, or DEL as it is.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

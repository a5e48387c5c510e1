"""The syntax of SCIM: errors, filters, paths and patches (RFC 7644).

Resources are parsed JSON. A schema is a dict with the names of the attributes that clients can
write. Its values are ``None`` for a text, ``bool``, or the names of the sub-attributes.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from accounts.common.errors import PublicError
from accounts.common.text import refuse_invisible

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
MEDIA_TYPE = "application/scim+json"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
# Attributes that no client can write (RFC 7643 section 3.1). Members are changed in the group.
READ_ONLY = frozenset({"id", "meta", "groups"})
MOST_OPERATIONS, LONGEST_PATH = 100, 1000
UNSUPPORTED = "A filter can only be about %s."
# Matches ``path eq "value"``, with an optional filter in the path, and ``and`` between conditions.
_VALUE = r'"(?:[^"\\]|\\.)*"|true|false'
_CONDITION = re.compile(
    rf"\s*([a-z][^\s\[\]]*(?:\[[^\[\]]*\](?:\.[a-z]+)?)?)\s+eq\s+({_VALUE})\s*(?:\sand\s|$)", re.I
)
_PATH = re.compile(
    r"(?:(urn:[^\s\[\]\"]+):)?([a-z$][\w$-]*)(?:\[([^\[\]]*)\])?(?:\.([a-z$][\w$-]*))?", re.I
)

type Resource = dict[str, Any]
type Schema = Mapping[str, Any]


class ScimError(PublicError):
    """An error with a ``scimType`` (RFC 7644 section 3.12). ``message`` is for administrators."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__()
        self.kind, self.message, self.status = kind, message, status


def error_body(status: int, detail: str, kind: str = "") -> Resource:
    """Return the body of an error."""
    more = {"scimType": kind} if kind else {}
    return {"schemas": [f"{MESSAGES}Error"], "status": str(status), "detail": detail, **more}


@dataclass(frozen=True)
class Path:
    """A path to an attribute: its name, the conditions of its filter, and the sub-attribute.

    ``name``: in the spelling of the schema; empty if the schema has no such attribute.
    """

    name: str
    conditions: Mapping[str, Any]
    sub: str = ""


def path_of(text: str, schema: Schema) -> Path:
    """Parse a path. The case of attribute names is ignored (RFC 7643 section 2.1).

    Raises:
        ScimError: the path is malformed.
    """
    found = _PATH.fullmatch(text) if len(text) <= LONGEST_PATH else None
    if found is None:
        raise ScimError("invalidPath", "This path is malformed.")
    urn, name, condition, sub = found.groups()
    is_core = urn is None or urn.lower().startswith(CORE.lower())
    known = _spelled(name, schema) if is_core else ""
    conditions = conditions_in(condition, "invalidPath") if condition is not None else {}
    return Path(known, conditions, sub or "")


def conditions_in(text: str, kind: str = "invalidFilter") -> dict[str, Any]:
    """Parse a filter; return the required values by their paths in lowercase.

    Raises:
        ScimError: the filter has other operators than ``eq`` and ``and``, or a path twice.
    """
    found: dict[str, Any] = {}
    text, at = text.strip(), 0
    while at < len(text) or not found:
        match = _CONDITION.match(text, at) if len(text) <= LONGEST_PATH else None
        path = match[1].lower() if match else ""
        if match is None or path in found:
            raise ScimError(kind, "Only conditions with “eq”, joined by “and”, are supported.")
        found[path] = _constant(match[2], kind)
        at = match.end()
    return found


def _constant(text: str, kind: str) -> Any:
    try:
        value = json.loads(text if text.startswith('"') else text.lower())
    except ValueError:
        raise ScimError(kind, "This value is malformed.") from None
    return _visible(value, kind) if isinstance(value, str) else value


def _visible(text: str, kind: str) -> str:
    try:
        refuse_invisible(text)
    except ValidationError as error:
        raise ScimError(kind, error.messages[0]) from None
    return text


def canonical(given: Any, schema: Schema) -> Resource:
    """Return the attributes of ``given`` that ``schema`` contains, in the spelling of ``schema``.

    Other attributes, read-only ones and ``null`` are ignored (RFC 7644 section 3.3).

    Raises:
        ScimError: ``given`` or a value has the wrong type.
    """
    if not isinstance(given, dict):
        raise ScimError("invalidSyntax", "Send a JSON object.")
    found: Resource = {}
    for key, value in given.items():
        if (name := _spelled(key, schema)) and value is not None and name not in READ_ONLY:
            found[name] = _typed(name, value, schema[name])
    return found


def _typed(name: str, value: Any, kind: Any) -> Any:
    match kind:
        case None if isinstance(value, str):
            return _visible(value, "invalidValue")
        # Entra ID sends booleans as texts by default.
        case type() if isinstance(value, bool):
            return value
        case type() if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        case dict() if isinstance(value, dict):
            return canonical(value, kind)
        case [inner] if isinstance(value, list | dict):
            items = value if isinstance(value, list) else [value]
            return [canonical(item, inner) for item in items]
    raise ScimError("invalidValue", f"“{name}” has a wrong type.")


def _spelled(name: str, schema: Schema) -> str:
    if name in schema:
        return name
    return next((known for known in schema if known.lower() == name.lower()), "")


def patched(resource: Resource, body: Any, schema: Schema) -> Resource:
    """Apply the operations in the ``body`` of a PATCH to ``resource``; return the result.

    See RFC 7644 section 3.5.2.

    Raises:
        ScimError: an operation is malformed, has no target, or changes a read-only attribute.
    """
    sent = {key.lower(): value for key, value in body.items()} if isinstance(body, dict) else {}
    operations = sent.get("operations")
    if not isinstance(operations, list) or not 0 < len(operations) <= MOST_OPERATIONS:
        raise ScimError("invalidSyntax", f"Send 1 to {MOST_OPERATIONS} “Operations”.")
    result = canonical(resource, schema)
    for operation in operations:
        for op, path, value in _steps(operation, schema):
            _apply(result, op, path, value, schema)
    return result


def _steps(operation: Any, schema: Schema) -> Iterable[tuple[str, Path, Any]]:
    """Return the changes of ``operation``: one for each attribute if ``operation`` has no path."""
    if not isinstance(operation, dict):
        raise ScimError("invalidSyntax", "An operation is a JSON object.")
    given = {key.lower(): value for key, value in operation.items()}
    op, text, value = given.get("op"), given.get("path") or "", given.get("value")
    op = op.lower() if isinstance(op, str) else ""
    if op not in ("add", "remove", "replace") or not isinstance(text, str):
        raise ScimError("invalidSyntax", "“op” is add, remove or replace, and “path” a text.")
    if text:
        return [(op, path_of(text, _with_read_only(schema)), value)]
    if op == "remove":
        raise ScimError("noTarget", "Removing needs a path.")
    if not isinstance(value, dict):
        raise ScimError("invalidValue", "Without a path, the value is a JSON object.")
    # The URN of an extension is not a path. Extensions are ignored, like unknown attributes.
    named = ((key, value[key]) for key in value if not key.lower().startswith("urn:"))
    return [(op, path_of(key, _with_read_only(schema)), item) for key, item in named]


def _with_read_only(schema: Schema) -> Schema:
    return {**dict.fromkeys(READ_ONLY), **schema}


def _apply(result: Resource, op: str, path: Path, value: Any, schema: Schema) -> None:
    if not path.name or path.name == "schemas":
        return
    if path.name in READ_ONLY:
        raise ScimError("mutability", f"“{path.name}” can’t be changed.")
    kind, name = schema[path.name], path.name
    if isinstance(kind, list):
        _apply_to_list(result, op, path, value, kind[0])
    elif path.conditions or (path.sub and not isinstance(kind, dict)):
        raise ScimError("invalidPath", f"“{name}” has no such part.")
    elif path.sub:
        part = result.setdefault(name, {})
        sub = _spelled(path.sub, kind)
        _set(part, op, sub, value, kind) if sub else None
    elif op == "add" and isinstance(kind, dict):
        result[name] = {**result.get(name, {}), **_typed(name, value, kind)}
    else:
        _set(result, op, name, value, schema)


def _set(target: Resource, op: str, name: str, value: Any, schema: Schema) -> None:
    if op == "remove" or value is None:
        target.pop(name, None)
    else:
        target[name] = _typed(name, value, schema[name])


def _apply_to_list(result: Resource, op: str, path: Path, value: Any, item: Schema) -> None:
    """Change a list of objects, which are identified by their ``value``."""
    rows: list[Resource] = result.setdefault(path.name, [])
    if not path.conditions:
        given = [] if value is None else _typed(path.name, _rows_in(value, path.sub), [item])
        keys = {row.get("value") for row in given}
        others = [row for row in rows if row.get("value") not in keys]
        match op:
            case "add":
                result[path.name] = [*others, *given]
            case "replace":
                result[path.name] = given
            # Entra ID sends the members to remove in the value.
            case _:
                result[path.name] = others if given else []
        return
    matching = [row for row in rows if all(_equals(row, *one) for one in path.conditions.items())]
    if not matching and op == "add":
        made = {_spelled(name, item): value for name, value in path.conditions.items()}
        rows.append({name: value for name, value in made.items() if name})
        matching = rows[-1:]
    if not matching:
        raise ScimError("noTarget", f"No item of “{path.name}” meets this filter.")
    if op == "remove" and not path.sub:
        result[path.name] = [row for row in rows if row not in matching]
        return
    for row in matching:
        sub = _spelled(path.sub, item)
        if sub:
            _set(row, op, sub, value, item)
        elif not path.sub:
            row.update(canonical(value, item))


def _rows_in(value: Any, sub: str) -> Any:
    return [{sub: value}] if sub else value


def _equals(row: Resource, name: str, value: Any) -> bool:
    found = next((row[key] for key in row if key.lower() == name), None)
    if isinstance(found, str) and isinstance(value, str):
        return found.lower() == value.lower()
    return found == value


def chosen(resource: Resource, params: Mapping[str, str]) -> Resource:
    """Return the part of ``resource`` that the client requests (RFC 7644 section 3.9).

    A sub-attribute in ``attributes`` or ``excludedAttributes`` selects its whole attribute.
    """
    wanted, unwanted = (_names(params.get(key, "")) for key in ("attributes", "excludedAttributes"))
    always = {"schemas", "id"}
    if wanted:
        return {name: resource[name] for name in resource if name.lower() in wanted | always}
    return {name: resource[name] for name in resource if name.lower() not in unwanted - always}


def _names(text: str) -> set[str]:
    words = (word.strip().lower() for word in text.split(","))
    return {word.rpartition(":")[2].partition(".")[0] for word in words if word}

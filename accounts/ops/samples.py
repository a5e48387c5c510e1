"""Code samples for the operations of the OpenAPI description (``x-codeSamples``).

They read an access token or an API key from the environment variable ``TOKEN``.
"""

import json
from shlex import quote
from typing import Any

JSON = "application/json"


def of(method: str, url: str, operation: dict[str, Any]) -> list[dict[str, str]]:
    """Return the samples that send the example request of ``operation`` to ``url``."""
    path = {p["name"]: p["example"] for p in operation.get("parameters", ()) if p["in"] == "path"}
    headers = {
        parameter["name"]: parameter["schema"].get("enum", [""])[0]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header" and parameter.get("required")
    }
    has_token = any("access_token" in way for way in operation["security"])
    content = operation.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    body = content[kind]["example"] if kind else None
    if kind:
        headers["Content-Type"] = kind
    request = method.upper(), url.format(**path), headers, body, has_token
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(*request)},
        {"lang": "Python", "label": "Python", "source": _python(*request)},
        {"lang": "JavaScript", "label": "JavaScript", "source": _javascript(*request)},
    ]


def _curl(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    parts = [f"curl -X {method} {quote(url)}"]
    if has_token:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    parts += [f"-H {quote(f'{name}: {value}')}" for name, value in headers.items()]
    if body is not None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        parts.append(f"--data-binary {quote(text)}")
    return " \\\n  ".join(parts)


def _python(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    # The argument ``json`` sets this type.
    fields = [f"{name!r}: {value!r}" for name, value in headers.items() if value != JSON]
    if has_token:
        fields.insert(0, '"Authorization": f"Bearer {os.environ[\'TOKEN\']}"')
    arguments = [repr(url)]
    if fields:
        arguments.append(f"headers={{{', '.join(fields)}}}")
    if body is not None:
        arguments.append(f"data={body!r}" if isinstance(body, str) else f"json={body!r}")
    called = "".join(f"    {argument},\n" for argument in arguments)
    imports = "import os\n\n" if has_token else ""
    end = "print(answer.status_code, answer.text)"
    return f"{imports}import requests\n\nanswer = requests.{method.lower()}(\n{called})\n{end}"


def _javascript(method: str, url: str, headers: dict[str, str], body: Any, has_token: bool) -> str:
    fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in headers.items()]
    if has_token:
        fields.insert(0, "Authorization: `Bearer ${process.env.TOKEN}`")
    options = [f"method: {json.dumps(method)}"]
    if fields:
        options.append(f"headers: {{ {', '.join(fields)} }}")
    if body is not None:
        sent = json.dumps(body, ensure_ascii=False)
        options.append(f"body: {sent if isinstance(body, str) else f'JSON.stringify({sent})'}")
    lines = "".join(f"  {option},\n" for option in options)
    return (
        f"const answer = await fetch({json.dumps(url)}, {{\n{lines}}});\n"
        "console.log(answer.status, await answer.text());"
    )

"""Hostile authorization requests: how each differs from a right one.

None removes a parameter, and a list sends it several times. ``{...}`` is a value of ``Values`` in
``hostile.py``.
"""

from typing import Any

HOST = "client.example.org"
REDIRECT = f"https://{HOST}/cb"
VERIFIER = "hostile-requests-have-this-verifier-of-PKCE-0123456789"
CHALLENGE = "{challenge}"
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL21hbGxvcnkuZXhhbXBsZS8ifQ."

RIGHT: dict[str, Any] = {
    "response_type": "code",
    "client_id": "{web}",
    "redirect_uri": REDIRECT,
    "scope": "openid email",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}

# In place of the registered redirect URI.
REDIRECTS = {
    "another host": "https://mallory.example/cb",
    "a host in upper case": f"https://{HOST.upper()}/cb",
    "a scheme in upper case": f"HTTPS://{HOST}/cb",
    "http": f"http://{HOST}/cb",
    "the default port": f"https://{HOST}:443/cb",
    "another port": f"https://{HOST}:444/cb",
    "a final slash": f"{REDIRECT}/",
    "no path": f"https://{HOST}",
    "a path in upper case": f"https://{HOST}/CB",
    "a path parameter": f"{REDIRECT};x=1",
    "a longer path": f"{REDIRECT}/more",
    "a path with ..": f"https://{HOST}/x/../cb",
    "a path with %2e%2e": f"{REDIRECT}/%2e%2e/other",
    "a path with an escaped letter": f"https://{HOST}/%63b",
    "a path escaped twice": f"https://{HOST}/%2563b",
    "an extra query": f"{REDIRECT}?x=1",
    "an empty query": f"{REDIRECT}?",
    "a fragment": f"{REDIRECT}#x",
    "an empty fragment": f"{REDIRECT}#",
    "a username": f"https://mallory@{HOST}/cb",
    "the host as a username": f"https://{HOST}@mallory.example/cb",
    "a subdomain": f"https://x.{HOST}/cb",
    "the host as a prefix": f"https://{HOST}.mallory.example/cb",
    "a final dot in the host": f"https://{HOST}./cb",
    "a backslash": f"https://mallory.example\\@{HOST}/cb",
    "a Cyrillic letter in the host": "https://\u0441lient.example.org/cb",
    "javascript": f"javascript://{HOST}/%0aalert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "a space before": f" {REDIRECT}",
    "a line feed after": f"{REDIRECT}\n",
    "a tab inside": f"https://{HOST}/c\tb",
    "a NUL after": f"{REDIRECT}\0",
    "another app's": "https://other.example.org/cb",
    "a loopback address": "http://127.0.0.1/cb",
    "localhost": "http://localhost/cb",
    "a number as host": "https://2130706433/cb",
    "a path alone": "/cb",
    "no scheme": f"//{HOST}/cb",
    "text": "nonsense",
    "9,000 characters": f"{REDIRECT}?{'x' * 9000}",
}

# By parameter: the values in its place.
VALUES: dict[str, dict[str, Any]] = {
    "client_id": {
        "missing": None,
        "empty": "",
        "unknown": "nobody",
        "twice": ["{web}", "{web}"],
        "two": ["{web}", "{other}"],
        "another app's": "{other}",
        "in upper case": "{web_upper}",
        "with a NUL": "{web}\0",
        "of 5,000 characters": "x" * 5000,
    },
    "redirect_uri": {
        "missing": None,
        "empty": "",
        "twice": [REDIRECT, REDIRECT],
        "two": [REDIRECT, "https://mallory.example/cb"],
    },
    "response_type": {
        "missing": None,
        "empty": "",
        "twice": ["code", "code"],
        **{
            text: text
            for text in (
                *("token", "id_token", "id_token token", "code token", "code id_token"),
                *("code id_token token", "none", "code code", "CODE", "code "),
            )
        },
    },
    "response_mode": {
        text: text for text in ("query", "fragment", "form_post", "jwt", "web_message", "nonsense")
    },
    "scope": {
        "missing": None,
        "empty": "",
        "without openid": "email",
        "unknown": "openid root",
        "not of this app": "openid phone",
        "of the API, not of this app": "openid profile:write",
        "in upper case": "OPENID",
        "with a line feed": "openid\nemail",
        "with a quote": 'openid "',
        "of 4,000 characters": "openid " + "x" * 4000,
        "twice": ["openid", "openid"],
    },
    "state": {
        "missing": None,
        "twice": ["a", "b"],
        "of 10,000 characters": "x" * 10_000,
        "with a line break": "a\r\nSet-Cookie: a=b",
        "with markup": "<script>alert(1)</script>",
    },
    "nonce": {"missing": None, "twice": ["a", "b"], "with a NUL": "a\0b"},
    "code_challenge": {
        "missing": None,
        "empty": "",
        "twice": [CHALLENGE, CHALLENGE],
        "of 42 characters": "x" * 42,
        "of 44 characters": "x" * 44,
        "with padding": f"{CHALLENGE}=",
        "with + and /": "+/" + "x" * 41,
        "of spaces": " " * 43,
    },
    "code_challenge_method": {
        "missing": None,
        "empty": "",
        "plain": "plain",
        "in lower case": "s256",
        "unknown": "S512",
        "twice": ["S256", "S256"],
    },
    "prompt": {
        text: text
        for text in (
            *("none", "login", "consent", "select_account", "login consent"),
            *("none login", "login none", "login login", "NONE", "nonsense"),
        )
    }
    | {"twice": ["none", "login"]},
    "max_age": {
        text: text for text in ("0", "-1", "x", "1e3", "1.5", " 60", "+60", "6_0", "٣٠", "9" * 30)
    }
    | {"empty": "", "twice": ["60", "60"]},
    "acr_values": {"unknown": "aal9", "of 3,000 characters": "x" * 3000},
    "login_hint": {"of 3,000 characters": "x" * 3000, "with a line break": "a\r\nb"},
    "ui_locales": {"unknown": "xx", "a path": "../../etc", "of 3,000 characters": "x" * 3000},
    "claims": {"not JSON": "{{", "a list": "[]", "of an ID token": '{{"id_token":{{"sub":null}}}}'},
    "display": {"unknown": "nonsense"},
    "id_token_hint": {"garbage": "x.y.z", "unsigned": UNSIGNED},
    "registration": {"any": "{{}}"},
    "request": {"garbage": "x.y.z", "unsigned": UNSIGNED},
    "request_uri": {
        "of another host": "https://mallory.example/request",
        "never pushed": "urn:ietf:params:oauth:request_uri:nonsense",
        "a file": "file:///etc/passwd",
        "pushed by another app": "{foreign_pushed}",
        "used before": "{used_pushed}",
        "twice": ["{pushed}", "{pushed}"],
    },
    "resource": {
        "of a stranger": "https://mallory.example/",
        "with a fragment": "{origin}#x",
        "not a URL": "nonsense",
        "two": ["{origin}", "https://mallory.example/"],
    },
    "audience": {"of a stranger": "https://mallory.example/"},
    "dpop_jkt": {"garbage": "x"},
    "client_secret": {"right, in the query": "{secret}"},
    "nonsense": {"any": "1", "twice": ["1", "2"]},
    "__proto__": {"any": "1"},
}


def cases() -> dict[str, dict[str, Any]]:
    """Return, by their names, the changes that make a right request a hostile one."""
    found: dict[str, dict[str, Any]] = {"right": {}}
    found |= {f"redirect_uri: {name}": {"redirect_uri": uri} for name, uri in REDIRECTS.items()}
    for parameter, values in VALUES.items():
        found |= {f"{parameter}: {name}": {parameter: value} for name, value in values.items()}
    return found | {
        "prompt none, max_age 0": {"prompt": "none", "max_age": "0"},
        "prompt none, nobody signed in": {"prompt": "none", "signed_in": False},
        "request and request_uri": {"request": UNSIGNED, "request_uri": "{pushed}"},
        "a pushed request and another redirect": {
            **dict.fromkeys(RIGHT),
            "client_id": "{web}",
            "request_uri": "{pushed}",
            "redirect_uri": "https://mallory.example/cb",
        },
        "a pushed request without client_id": {**dict.fromkeys(RIGHT), "request_uri": "{pushed}"},
        "a pushed request": {
            **dict.fromkeys(RIGHT),
            "client_id": "{web}",
            "request_uri": "{pushed}",
        },
        "no parameters": dict.fromkeys(RIGHT),
        "a byte that is not UTF-8": {"raw": "&state2=%ff"},
        "a malformed escape": {"raw": "&state2=%zz"},
        "PUT": {"method": "PUT"},
        "DELETE": {"method": "DELETE"},
        "POST": {"method": "POST"},
        "POST of JSON": {"method": "POST", "type": "application/json"},
        "POST of 100 KB": {"method": "POST", "x": "x" * 100_000},
    }

"""Hostile calls of the endpoints for machines, and of the page that signs people out.

Written as in ``hostile_authorize.py``. ``auth`` is how the client authenticates: a row of ``AUTH``
in ``hostile.py``. ``token`` is the bearer token, ``query`` goes into the URL.
"""

from typing import Any

from tests.support.clients.hostile_authorize import REDIRECT, RIGHT, UNSIGNED, VERIFIER

type Cases = dict[str, dict[str, Any]]

CODE: dict[str, Any] = {
    "grant_type": "authorization_code",
    "code": "{code}",
    "redirect_uri": REDIRECT,
    "code_verifier": VERIFIER,
    "auth": "basic",
}
REFRESH: dict[str, Any] = {
    "grant_type": "refresh_token",
    "refresh_token": "{refresh}",
    "auth": "basic",
}

# How requests can be written that no client writes. A body that is read as another type is empty.
ODD: Cases = {
    "GET": {"method": "GET"},
    "PUT": {"method": "PUT"},
    "JSON": {"type": "application/json"},
    "multipart": {"type": "multipart/form-data; boundary=x"},
    "text": {"type": "text/plain"},
    "no content type": {"type": None},
    "of 100 KB": {"x": "x" * 100_000},
    "with a byte that is not UTF-8": {"raw": "&x=%ff"},
}

GRANT_TYPES = (
    *("password", "client_credentials", "implicit", "AUTHORIZATION_CODE", "nonsense", "__proto__"),
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:device_code",
)
CLIENTS = (
    *("none", "wrong", "wrong post", "another's secret", "another client", "both", "mixed"),
    *("not base64", "no colon", "bearer", "in the query", "unknown", "empty", "assertion"),
    *("line feed", "public", "public with a secret", "lower case", "twice"),
)
BY_CLIENT: Cases = {f"client: {how}": {"auth": how} for how in CLIENTS}

TOKEN: Cases = {
    "right": {},
    "grant_type missing": {"grant_type": None},
    "grant_type empty": {"grant_type": ""},
    "grant_type twice": {"grant_type": ["authorization_code", "authorization_code"]},
    **{f"grant_type: {name}": {"grant_type": name} for name in GRANT_TYPES},
    "grant_type password with a password": {
        "grant_type": "password",
        "username": "alice",
        "password": "vivid otter under glass",
    },
    "code missing": {"code": None},
    "code empty": {"code": ""},
    "code twice": {"code": ["{code}", "{code}"]},
    "code unknown": {"code": "nonsense"},
    "code used": {"code": "{used}"},
    "code of another client": {"code": "{foreign_code}"},
    "code with a space": {"code": "{code} "},
    "code with a NUL": {"code": "{code}\0"},
    "code of 9,000 characters": {"code": "x" * 9000},
    "code: a refresh token": {"code": "{refresh}"},
    "code: an access token": {"code": "{access}"},
    "redirect_uri missing": {"redirect_uri": None},
    "redirect_uri empty": {"redirect_uri": ""},
    "redirect_uri: another": {"redirect_uri": "https://mallory.example/cb"},
    "redirect_uri: a final slash": {"redirect_uri": f"{REDIRECT}/"},
    "redirect_uri twice": {"redirect_uri": [REDIRECT, REDIRECT]},
    "code_verifier missing": {"code_verifier": None},
    "code_verifier empty": {"code_verifier": ""},
    "code_verifier wrong": {"code_verifier": "x" * 43},
    "code_verifier: the challenge": {"code_verifier": "{challenge}"},
    "code_verifier of 42 characters": {"code_verifier": VERIFIER[:42]},
    "code_verifier of 129 characters": {"code_verifier": "x" * 129},
    "code_verifier with a space": {"code_verifier": f"{VERIFIER} "},
    "code_verifier twice": {"code_verifier": [VERIFIER, "x" * 43]},
    "scope widened": {"scope": "openid groups"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    **BY_CLIENT,
    **ODD,
    "parameters in the query": {
        **dict.fromkeys(CODE),
        "auth": "basic",
        "query": "grant_type=authorization_code&code={code}",
    },
    "no parameters": {**dict.fromkeys(CODE), "auth": "basic"},
}

REFRESHED: Cases = {
    "right": {},
    "missing": {"refresh_token": None},
    "empty": {"refresh_token": ""},
    "unknown": {"refresh_token": "nonsense"},
    "of another client": {"refresh_token": "{foreign_refresh}"},
    "used two refreshes ago": {"refresh_token": "{old_refresh}"},
    "twice": {"refresh_token": ["{refresh}", "{refresh}"]},
    "with a space": {"refresh_token": "{refresh} "},
    "an access token": {"refresh_token": "{access}"},
    "an ID token": {"refresh_token": "{id_token}"},
    "a code": {"refresh_token": "{code}"},
    "scope widened": {"scope": "openid profile email offline_access groups"},
    "scope unknown": {"scope": "root"},
    "scope narrowed": {"scope": "openid"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    "without a secret": {"auth": "none"},
    "by a public client": {"auth": "public"},
    "by another client": {"auth": "another client"},
    "with a wrong secret": {"auth": "wrong"},
}

PAR_RIGHT = {**RIGHT, "auth": "basic"}
PAR: Cases = {
    "right": {},
    "with a request_uri": {"request_uri": "{pushed}"},
    "with a request object": {"request": UNSIGNED},
    "redirect_uri of a stranger": {"redirect_uri": "https://mallory.example/cb"},
    "redirect_uri missing": {"redirect_uri": None},
    "code_challenge missing": {"code_challenge": None},
    "code_challenge_method plain": {"code_challenge_method": "plain"},
    "client_id of another": {"client_id": "{other}"},
    "scope unknown": {"scope": "openid root"},
    "scope twice": {"scope": ["openid", "openid"]},
    "response_type token": {"response_type": "token"},
    "prompt none login": {"prompt": "none login"},
    "max_age -1": {"max_age": "-1"},
    "resource of a stranger": {"resource": "https://mallory.example/"},
    **BY_CLIENT,
    **ODD,
}

USERINFO_RIGHT: dict[str, Any] = {"method": "GET", "token": "{access}"}
USERINFO: Cases = {
    "right": {},
    "right, by POST": {"method": "POST"},
    "no token": {"token": None},
    "empty": {"token": ""},
    "garbage": {"token": "nonsense"},
    "an ID token": {"token": "{id_token}"},
    "a refresh token": {"token": "{refresh}"},
    "a code": {"token": "{code}"},
    "unsigned": {"token": UNSIGNED},
    "in the query": {"token": None, "query": "access_token={access}"},
    "in the header and in the query": {"query": "access_token={access}"},
    "followed by text": {"token": "{access}x"},
    "without openid": {"token": "{access_without_openid}"},
    "revoked": {"token": "{revoked}"},
    "scheme in lower case": {"scheme": "bearer"},
    "scheme Basic": {"scheme": "Basic"},
    "scheme DPoP": {"scheme": "DPoP"},
    "PUT": {"method": "PUT"},
}

ABOUT: dict[str, Any] = {"token": "{refresh}", "auth": "basic", "in_form": True}
REVOKE: Cases = {
    "right": {},
    "an access token": {"token": "{access}"},
    "an ID token": {"token": "{id_token}"},
    "unknown": {"token": "nonsense"},
    "of another client": {"token": "{foreign_refresh}"},
    "missing": {"token": None},
    "twice": {"token": ["{refresh}", "{refresh}"]},
    "with a NUL": {"token": "{refresh}\0"},
    "token_type_hint unknown": {"token_type_hint": "nonsense"},
    "token_type_hint wrong": {"token_type_hint": "access_token"},
    **BY_CLIENT,
    **ODD,
}
INTROSPECT: Cases = REVOKE

LOGOUT_RIGHT = {
    "id_token_hint": "{id_token}",
    "post_logout_redirect_uri": "{goodbye}",
    "state": "bye",
}
LOGOUT: Cases = {
    "right": {},
    "by POST": {"method": "POST"},
    "no parameters": dict.fromkeys(LOGOUT_RIGHT),
    "redirect of a stranger": {"post_logout_redirect_uri": "https://mallory.example/"},
    "redirect of another client": {"post_logout_redirect_uri": "https://other.example.org/bye"},
    "redirect: the sign-in redirect": {"post_logout_redirect_uri": REDIRECT},
    "redirect with a query": {"post_logout_redirect_uri": "{goodbye}?x=1"},
    "redirect twice": {"post_logout_redirect_uri": ["{goodbye}", "https://mallory.example/"]},
    "redirect javascript": {"post_logout_redirect_uri": "javascript:alert(1)"},
    "redirect of a stranger, no hint": {
        "id_token_hint": None,
        "post_logout_redirect_uri": "https://mallory.example/",
    },
    "redirect, no hint, no client": {"id_token_hint": None},
    "redirect, client_id alone": {"id_token_hint": None, "client_id": "{web}"},
    "redirect, unknown client": {"id_token_hint": None, "client_id": "nobody"},
    "hint garbage": {"id_token_hint": "nonsense"},
    "hint unsigned": {"id_token_hint": UNSIGNED},
    "hint: an access token": {"id_token_hint": "{access}"},
    "hint of another client": {"id_token_hint": "{id_token}", "client_id": "{other}"},
    "hint twice": {"id_token_hint": ["{id_token}", "{id_token}"]},
    "state with a line break": {"state": "a\r\nSet-Cookie: a=b"},
    "PUT": {"method": "PUT"},
}

# Discovery and keys: the path, and the method.
READ: Cases = {
    f"{method} {path}": {"method": method, "path": path}
    for path in ("/.well-known/openid-configuration", "{jwks}")
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE")
} | {
    f"GET {path}": {"method": "GET", "path": path}
    for path in (
        "/.well-known/openid-configuration/",
        "/.well-known/openid-configuration/x",
        "/.well-known/OpenID-Configuration",
        "/.well-known/openid-configuration?issuer=https://mallory.example",
    )
}

"""Steps of races over the codes and tokens of apps."""

import json
from hashlib import sha256

from tests.support.apps import WEB
from tests.support.authorize import CHALLENGE, VERIFIER
from tests.support.nodes import Nodes, browser_at
from tests.support.site import Response
from tests.support.steps import sql

SCOPE = "openid offline_access profile:read"
APP = """
INSERT INTO oauth_client (id, name, is_public, is_first_party, is_verified, redirect_uris,
    logout_uris, scope, audiences, factor, homepage, privacy_url, terms_url, created_at,
    backchannel_logout_uri, resource, jwks_uri, sector, source, logo, registered_with,
    backchannel_logout_is_private, requires_dpop, jwks_uri_is_private, is_device)
VALUES (?, 'Paperless', TRUE, FALSE, TRUE, ?, '[]', ?, ?, '', '', '', '', CURRENT_TIMESTAMP,
    '', '', '', '', 'operator', '', '', FALSE, FALSE, FALSE, FALSE)
"""
CONNECTION = """
INSERT INTO oauth_connection (user_id, client_id, audience, scope, since, used_at)
SELECT id, ?, ?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM accounts_user WHERE username = ?
"""
CODE = """
INSERT INTO oauth_authorizationcode (digest, client_id, user_id, version, session_id,
    redirect_uri, code_challenge, nonce, scope, audience, dpop_jkt, expires_at)
SELECT ?, ?, u.id, u.credential_version, s.id, ?, ?, '', ?, ?, '', '2999-01-01 00:00:00'
FROM accounts_user u JOIN accounts_loginsession s ON s.user_id = u.id
WHERE u.username = ? AND s.kind = 'browser'
"""


def connect(nodes: Nodes, name: str) -> None:
    """Let the person ``name`` connect an app with the same ID, without a browser."""
    origin = nodes[0].origin
    sql(nodes[0], APP, name, json.dumps([WEB]), SCOPE, json.dumps([origin]))
    sql(nodes[0], CONNECTION, name, origin, SCOPE, name)


def add_code(nodes: Nodes, name: str, code: str) -> None:
    digest = sha256(code.encode()).hexdigest()
    sql(nodes[0], CODE, digest, name, WEB, CHALLENGE, SCOPE, nodes[0].origin, name)


def token_call(nodes: Nodes, i: int, name: str, **form: str) -> Response:
    program = browser_at(nodes[i % 2], f"192.0.2.{i + 10}")
    return program.post("/oauth/token", {"client_id": name, **form}, csrf=False)


def redeem(nodes: Nodes, i: int, name: str, code: str) -> Response:
    form = {"code": code, "redirect_uri": WEB, "code_verifier": VERIFIER}
    return token_call(nodes, i, name, grant_type="authorization_code", **form)


def refresh(nodes: Nodes, i: int, name: str, token: str) -> Response:
    return token_call(nodes, i, name, grant_type="refresh_token", refresh_token=token)


def status_with(nodes: Nodes, i: int, tokens: dict[str, str]) -> int:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return nodes[i % 2].client().get("/api/v1/me/", headers=headers).status

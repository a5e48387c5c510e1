"""Rows that fill the pages of an account: long names, a long history, many keys, an app."""

WIDE = "W" * 60
# Columns of an app that are empty or false, and their values.
EMPTY_OF_APP = (
    "backchannel_logout_uri, resource, jwks_uri, sector, source, logo, registered_with, "
    "backchannel_logout_is_private, requires_dpop, jwks_uri_is_private, is_device"
)
EMPTY_VALUES = "'', '', '', '', 'operator', '', '', FALSE, FALSE, FALSE, FALSE"
THEIRS = "FROM n, accounts_user WHERE username = ?"
HISTORY = f"""
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
    INSERT INTO accounts_activity
        (user_id, kind, at, ip, browser, system, proof, actor, detail, key, reason)
    SELECT id, iif(i % 2, 'sign_in_failed', 'others_ended'), ?, '2001:db8::7', 'Firefox',
        'Windows', 'pwd', iif(i % 2, '', 'carol'), iif(i % 2, '', '3'), '', '' {THEIRS}
"""
SOME_KEYS = f"""
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7)
    INSERT INTO accounts_apikey
        (id, user_id, digest, name, scope, made_at, expires_at, used_at, ip, staff_scope)
    SELECT printf('%016d', i), id, '', ?, 'activity:read profile:write sessions:write', ?,
        iif(i % 2, ?, NULL), iif(i % 3, ?, NULL), '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', ''
    {THEIRS}
"""
# An unverified app that stays connected and is connected with each browser, too. All statements
# have the same values.
APP = (
    f"""
    INSERT INTO oauth_client (id, name, is_public, is_first_party, is_verified, redirect_uris,
        logout_uris, scope, audiences, factor, homepage, privacy_url, terms_url, created_at,
        {EMPTY_OF_APP})
    SELECT 'notes', ?, 1, 0, 0, '[]', '[]', 'openid', '[]', '', '', '', '', ?, {EMPTY_VALUES}
    FROM accounts_user WHERE username = ?
    """,
    """
    INSERT INTO oauth_connection (client_id, audience, scope, since, used_at, user_id)
    SELECT 'notes', 'https://' || ?1 || '.example', 'openid email offline_access', ?2, ?2, id
    FROM accounts_user WHERE username = ?3
    """,
    """
    INSERT INTO accounts_loginsession (id, kind, user_id, agent, browser, system, ip, amr,
        auth_time, begun_at, used_at, is_remembered, idle_at, ends_at, scope, factor_key,
        ended_by, ended_key, refresh_digest, former_digest, dpop_thumbprint)
    SELECT lower(hex(randomblob(16))), 'connected', s.user_id, agent, browser, system, ip, amr,
        auth_time, begun_at, used_at, is_remembered, idle_at, ends_at, 'openid', '',
        '', '', n.digest, '', ''
    FROM accounts_loginsession s JOIN accounts_user u ON u.id = s.user_id,
        (SELECT '' AS digest UNION SELECT 'digest') n
    WHERE ?1 <> ?2 AND u.username = ?3
    """,
    """
    INSERT INTO oauth_appsession (session_id, client_id, parent_id, audience)
    SELECT s.id, 'notes', b.id, '' FROM accounts_loginsession s JOIN accounts_user u
        ON u.id = s.user_id JOIN accounts_loginsession b
        ON b.user_id = u.id AND b.begun_at = s.begun_at
    WHERE ?1 <> ?2 AND u.username = ?3 AND s.kind = 'connected' AND b.kind = 'browser'
    """,
)
PASSKEY = """
    INSERT INTO accounts_passkey (user_id, name, confirmed, credential_id, public_key,
        sign_count, transports, aaguid, is_synced, is_eligible, made_at)
    SELECT id, ?, 1, 'eHh4', 'eHh4', 0, '[]', 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', 1, 1, ?
    FROM accounts_user WHERE username = ?
"""


KEYS, NEW_KEY = "/accounts/keys/", "/accounts/keys/new/"

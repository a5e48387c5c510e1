"""Receivers of sign-out notices that work, hang or refuse."""

# Signs the person in to the apps at ``paths`` from each of their browsers.
CONNECT = """
from accounts.oauth.models import Client
from accounts.oauth import app_sessions
from accounts.sessions.models import LoginSession
for path in {paths}:
    app, _ = Client.objects.get_or_create(
        name=path, backchannel_logout_uri="{url}" + path, backchannel_logout_is_private=True
    )
    for session in LoginSession.objects.filter(kind="browser"):
        app_sessions.insert(app_sessions.new(session, app.pk, "openid", "", is_offline=False))
"""
WORKS = [f"/work{number}" for number in range(10)]
HANGS = [f"/hang{number}" for number in range(10)]

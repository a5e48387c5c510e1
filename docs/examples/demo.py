"""``make demo``: run the site with a few accounts to try, an OpenID Provider and an app beside it.

People sign in to the site with their accounts at the provider, and to the app with their accounts
at the site.

All data is in ``var/demo``. The passwords are generated at the first start.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from docs.examples.issuer import Issuer
from docs.examples.shop import Shop

FOLDER = Path(os.environ.get("DATA_DIR") or "var") / "demo"
PORT = int(os.environ.get("PORT") or 8000)
ISSUER_PORT = int(os.environ.get("ISSUER_PORT") or PORT + 1)
SHOP_PORT = int(os.environ.get("SHOP_PORT") or PORT + 2)
CLIENT_ID = "authsite-demo"
SHOP_ID = "demo-shop"
ACCOUNTS = {
    "alice": "only a password",
    "bob": "a password and an authenticator app",
    "carol": "an administrator, with an authenticator app",
}


def main() -> None:
    """Run the site, the provider and the app until interrupted."""
    try:
        issuer = Issuer(ISSUER_PORT, CLIENT_ID, notes)
    except OSError as error:
        sys.exit(f"Port {ISSUER_PORT} of the demo’s issuer: {error.strerror}. Set ISSUER_PORT.")
    try:
        shop = Shop(SHOP_PORT, f"http://localhost:{PORT}", SHOP_ID)
    except OSError as error:
        sys.exit(f"Port {SHOP_PORT} of the demo’s shop: {error.strerror}. Set SHOP_PORT.")
    provider = {"id": "demo", "name": "Demo", "issuer": issuer.url}
    client_id, client_secret = issuer.client
    provider |= {"client_id": client_id, "client_secret": client_secret}
    os.environ |= {
        "ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "authsite.settings",
        "DATA_DIR": str(FOLDER),
        "PORT": str(PORT),
        "OIDC_PROVIDERS": json.dumps([provider]),
    }
    for server in (issuer.server, shop.server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    passwords = accounts()
    register(shop)
    sys.stdout.write(f"\nThe demo’s issuer, and the codes of the apps: {issuer.url}\n")
    sys.stdout.write(f"The demo’s shop, which signs people in with these accounts: {shop.url}\n")
    for name, means in ACCOUNTS.items():
        sys.stdout.write(f"{name:6} {passwords[name]}  {means}\n")
    sys.stdout.write("\n")
    sys.stdout.flush()
    site = subprocess.Popen([sys.executable, "-m", "authsite"])
    signal.signal(signal.SIGTERM, lambda *_: site.terminate())
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(site.wait())
    site.wait()


def accounts() -> dict[str, str]:
    """Return the passwords of the demo accounts by username. Missing accounts are created."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return {name: password_of(name) for name in ACCOUNTS}


def register(shop: Shop) -> None:
    """Register the app at the site at the first start. The port of its URIs may change later."""
    from accounts.activity.services import Actor
    from accounts.oauth.clients import services as clients
    from accounts.oauth.clients.models import Client

    if not Client.objects.filter(pk=shop.client_id).exists():
        client = Client(pk=shop.client_id, name="Demo shop", is_public=True)
        client.redirect_uris, client.logout_uris = [f"{shop.url}callback"], [shop.url]
        clients.create(client, Actor())


def password_of(name: str) -> str:
    """Return the password of the account ``name``.

    A missing password or account is created first, also after an interrupted start.
    """
    from django.db import transaction

    from accounts.common import secrets
    from accounts.users.models import User

    path = FOLDER / f"{name}.password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.password())
    if not User.objects.filter(username=name).exists():
        with transaction.atomic():
            make(name, path.read_text())
    return path.read_text()


def make(name: str, password: str) -> None:
    """Create a demo account with a confirmed email address. Only alice has no second factor."""
    from accounts.activity.services import Actor
    from accounts.passwords.services import hash_password
    from accounts.twofactor import services as twofactor
    from accounts.twofactor.models import totp_of
    from accounts.users import services as users

    hashed = hash_password(password)
    email = f"{name}@example.org"
    if name == "carol":
        user = users.create_administrator(name, email, hashed)
    else:
        users.take_username(name, until=None)
        user = users.create_user(name, hashed)
        users.confirm_email(user, email)
    if name != "alice":
        seed = twofactor.new_seed()
        totp = totp_of(seed)
        # Enrol with the previous code, so that the current code can still be used.
        totp.drift = -1
        twofactor.enrol(user, seed, f"{totp.token():06d}", "Demo", Actor())


def notes() -> str:
    """Return HTML with the current codes of the authenticator apps. Each code works once."""
    from accounts.twofactor.models import Authenticator, totp_of

    held = Authenticator.objects.select_related("user")
    rows = [(row.user.username, totp_of(row.seed)) for row in held]
    shown = "".join(f"<p>{name}: <code>{totp.token():06d}</code></p>" for name, totp in rows)
    return f"<p>Codes of the authenticator apps, for 30 seconds each:</p>{shown}"


if __name__ == "__main__":
    main()

"""``make https``: serve the site as in production, but only for this machine.

The environment is production, with all its checks. The secrets, the database and the email folder
are those of the development site in ``DATA_DIR``.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate
from dotenv import dotenv_values
from trustme import CA

from accounts.common import clock
from accounts.common.environment import ConfigError, read
from authsite.__main__ import main as serve
from authsite.serving.server import check

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("authsite.localhost", "localhost", "127.0.0.1")
PORT, REDIRECT_PORT = "8443", "8080"
# Apple's programs refuse certificates that are valid for more than 825 days.
LIFE, RENEWED_BEFORE = timedelta(days=800), timedelta(days=30)
PREPARATIONS = (["migrate", "--verbosity", "0"], ["create_owner", "--if-none"])


def main() -> None:
    """Migrate the database, print the URL of the site, and serve until interrupted."""
    try:
        settings, authority = production()
    except ConfigError as error:
        sys.exit(f"authsite does not start:\n{error}")
    os.environ |= settings
    for command in PREPARATIONS:
        if code := subprocess.call([sys.executable, "manage.py", *command], cwd=ROOT):
            sys.exit(code)
    # Without the username and the password in the URL of a mail server.
    mail = re.sub(r"//[^/]*@", "//", settings["EMAIL_URL"])
    origin, ca = settings["ORIGIN"], shlex.quote(str(authority))
    sys.stdout.write(
        f"http://{NAMES[0]}:{settings['REDIRECT_PORT']} redirects there\n"
        f"Its certificate authority is {authority}; mail goes to {mail}\n"
        f"curl --cacert {ca} {origin}/accounts/login/\n"
    )
    serve()


def production() -> tuple[dict[str, str], Path]:
    """Return the settings that production requires, and the path of the certificate to trust.

    This is the certificate of the local authority, which has signed the site's own certificate.

    Raises:
        ConfigError: settings in the environment or in ``.env`` are invalid.
    """
    port = os.environ.get("PORT") or PORT
    own = {"PORT": port, "ORIGIN": f"https://{NAMES[0]}:{port}"}
    unasked = dict.fromkeys(("TLS_CERT_FILE", "TLS_KEY_FILE", "REDIRECT_PORT", "ACME_WEBROOT"), "")
    dotenv = {name: value or "" for name, value in dotenv_values(ROOT / ".env").items()}
    development = {"ENVIRONMENT": "development"}
    config = read({**dotenv, **os.environ, **own, **unasked, **development}, ROOT, dotenv)
    tls = config.data_dir / "tls"
    certify(tls)
    return own | {
        "ENVIRONMENT": "production",
        "SECRET_KEY": config.secret_key,
        "ENCRYPTION_KEYS": " ".join(config.encryption_keys),
        "DATABASE_URL": config.database_url,
        "EMAIL_URL": config.email_url,
        "MAIL_FROM": config.mail_from,
        "TLS_CERT_FILE": str(tls / "site.pem"),
        "TLS_KEY_FILE": str(tls / "site.key"),
        "REDIRECT_PORT": os.environ.get("REDIRECT_PORT") or REDIRECT_PORT,
        "ACME_WEBROOT": str(config.data_dir / "acme"),
    }, tls / "ca.pem"


def certify(folder: Path) -> None:
    """Create a certificate authority and the site's certificate in ``folder``.

    Valid certificates are kept, so that people need to add ``ca.pem`` to their browsers only once.
    The authority's key is never stored, so that nobody can steal it and create certificates for
    other sites.
    """
    site = folder / "site.pem"
    try:
        check(site, folder / "site.key")
        expires = load_pem_x509_certificate(site.read_bytes()).not_valid_after_utc
        good = (folder / "ca.pem").exists() and expires - clock.now() > RENEWED_BEFORE
    except OSError:
        good = False
    if not good:
        issue(folder, CA(path_length=0, organization_name="authsite on this machine"), NAMES)


def issue(folder: Path, authority: CA, names: Sequence[str]) -> None:
    """Write a certificate for ``names``, its key, and the authority's certificate."""
    now = clock.now()
    made = authority.issue_cert(*names, not_before=now - timedelta(hours=1), not_after=now + LIFE)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = folder / "site.key"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    made.private_key_pem.write_to_path(key)
    made.cert_chain_pems[0].write_to_path(folder / "site.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")


if __name__ == "__main__":
    main()

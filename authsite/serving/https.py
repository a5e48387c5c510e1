"""``make https``: serve the site as in production, on this machine only.

The environment is production, with all its checks. The secrets, the database and the email folder
are those of the development site in ``DATA_DIR``.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from accounts.common.environment import ConfigError, read
from authsite.__main__ import main as serve
from authsite.serving.local_ca import issued

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("authsite.localhost", "localhost", "127.0.0.1")
PORT, REDIRECT_PORT = "8443", "8080"
PREPARATIONS = (["migrate", "--verbosity", "0"], ["create_owner", "--if-none"])


def main() -> None:
    """Migrate the database, print how to reach the site, and serve until interrupted."""
    try:
        settings, authority = production()
    except ConfigError as error:
        sys.exit(f"authsite does not start:\n{error}")
    os.environ |= settings
    for command in PREPARATIONS:
        if code := subprocess.call([sys.executable, "manage.py", *command], cwd=ROOT):
            sys.exit(code)
    # Leave out the username and password in the URL of a mail server.
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

    It is the certificate of the local authority, which has signed the site's own certificate.

    Raises:
        ConfigError: settings in the environment or in ``.env`` are invalid.
    """
    port = os.environ.get("PORT") or PORT
    own = {"PORT": port, "ORIGIN": f"https://{NAMES[0]}:{port}"}
    unasked = dict.fromkeys(("TLS_CERT_FILE", "TLS_KEY_FILE", "REDIRECT_PORT", "ACME_WEBROOT"), "")
    dotenv = {name: value or "" for name, value in dotenv_values(ROOT / ".env").items()}
    development = {"ENVIRONMENT": "development"}
    config = read({**dotenv, **os.environ, **own, **unasked, **development}, ROOT, dotenv)
    authority, site = issued(config.data_dir / "tls", NAMES)
    return own | {
        "ENVIRONMENT": "production",
        "SECRET_KEY": config.secret_key,
        "ENCRYPTION_KEYS": " ".join(config.encryption_keys),
        "DATABASE_URL": config.database_url,
        "EMAIL_URL": config.email_url,
        "MAIL_FROM": config.mail_from,
        "TLS_CERT_FILE": str(site.file),
        "TLS_KEY_FILE": str(site.key_file),
        "REDIRECT_PORT": os.environ.get("REDIRECT_PORT") or REDIRECT_PORT,
        "ACME_WEBROOT": str(config.data_dir / "acme"),
    }, authority


if __name__ == "__main__":
    main()

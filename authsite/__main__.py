"""``python -m authsite``: the site on its production server, granian."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels

from accounts.common.config import Config
from authsite.serving.server import Server, check

# Argon2 leaves the interpreter while it hashes: with this many threads, and hashing bounded
# apart, the other pages stay quick while many people sign in.
THREADS = 16


def main() -> None:
    """Serve until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    # The workers are forked: what they need to know of it, settings are read for here.
    os.environ["AUTHSITE_SERVES"] = "1"
    try:
        config = settings.AUTHSITE
    except ImproperlyConfigured as error:
        sys.exit(f"authsite does not start:\n{error}")
    sys.stdout.write(f"{config.site_name} is at {config.origin}\n")
    mail = urlsplit(config.email_url)
    if config.development and mail.scheme == "file":
        sys.stdout.write(f"Mail goes to {unquote(mail.path)}, shown at {config.origin}/dev/mail/\n")
    elif config.development:
        # The address as a whole would show its password.
        sys.stdout.write(f"Mail goes out by {mail.hostname}\n")
    sys.stdout.flush()
    site = server(config)
    with _plain_http(config):
        site.serve()


def server(config: Config) -> Server:
    """The server, which has its port; or the end, with what is wrong."""
    files = {"ssl_cert": config.tls_cert_file, "ssl_key": config.tls_key_file}
    paths = {name: Path(file) for name, file in files.items() if file}
    try:
        check(paths.get("ssl_cert"), paths.get("ssl_key"))
        return Server(
            "authsite.wsgi:application",
            address=config.bind,
            port=config.port,
            interface=Interfaces.WSGI,
            blocking_threads=THREADS,
            websockets=False,
            respawn_failed_workers=True,
            log_level=LogLevels.error,
            ssl_protocol_min=SSLProtocols.tls12,
            **paths,
        )
    except OSError as error:
        sys.exit(f"authsite does not start at {config.bind}:{config.port}:\n{error}")


@contextmanager
def _plain_http(config: Config) -> Iterator[None]:
    """The plain port beside the site; each ends with the other."""
    if not config.redirect_port:
        yield
        return
    plain = subprocess.Popen([sys.executable, "-m", "authsite.serving.plain"])
    ending = threading.Event()

    def watch() -> None:
        plain.wait()
        if not ending.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        has_failed = bool(plain.poll())
        ending.set()
        plain.terminate()
        plain.wait()
    if has_failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

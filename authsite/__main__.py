"""``python -m authsite``: serve the site with granian, the production server."""

import logging
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

from accounts.common import logs
from accounts.common.config import Config
from authsite.serving.server import Server, check

log = logging.getLogger(__name__)


def main() -> None:
    """Serve the site until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    # Tells the settings that this process is a server. The settings are loaded before forking, so
    # that the workers inherit them.
    os.environ["AUTHSITE_SERVES"] = "1"
    try:
        config = settings.AUTHSITE
    except ImproperlyConfigured as error:
        sys.exit(f"authsite does not start:\n{error}")
    logs.configure(settings.LOGGING)
    _announce(config)
    site = server(config)
    with _plain_http(config):
        site.serve()


def _announce(config: Config) -> None:
    """Print the URL of the site and the destination of its email. In production, log the URL."""
    place = f"{config.site_name} is at {config.origin}"
    if not config.development:
        log.info(place)
        return
    mail = urlsplit(config.email_url)
    if mail.scheme == "file":
        where = f"is at {config.origin}/dev/mail/, as files in {unquote(mail.path)}"
    else:
        # Only the host is printed, because the URL may contain a password.
        where = f"goes out through {mail.hostname}"
    sys.stdout.write(f"{place}\nIts email {where}\n")
    sys.stdout.flush()


def server(config: Config) -> Server:
    """Return a server that has bound its port; exit with a message if that is impossible."""
    files = {"ssl_cert": config.tls_cert_file, "ssl_key": config.tls_key_file}
    paths = {name: Path(file) for name, file in files.items() if file}
    try:
        check(paths.get("ssl_cert"), paths.get("ssl_key"))
        return Server(
            "authsite.wsgi:application",
            address=config.bind,
            port=config.port,
            unix=config.unix_socket,
            interface=Interfaces.WSGI,
            log_dictconfig=settings.LOGGING,
            ssl_protocol_min=SSLProtocols.tls12,
            **paths,
        )
    except OSError as error:
        place = config.unix_socket or f"{config.bind}:{config.port}"
        sys.exit(f"authsite does not start at {place}:\n{error}")


@contextmanager
def _plain_http(config: Config) -> Iterator[None]:
    """Run the plain HTTP server while the site runs. If one of the two fails, stop the other."""
    if not config.redirect_port:
        yield
        return
    plain = subprocess.Popen([sys.executable, "-m", "authsite.serving.plain"])

    def watch() -> None:
        if plain.wait():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        plain.terminate()
        if plain.wait():
            sys.exit(1)


if __name__ == "__main__":
    main()

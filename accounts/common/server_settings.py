"""The settings of the network: where the server listens, TLS, proxies, trusted authorities."""

from dataclasses import dataclass

from accounts.common.client_ip import Network
from accounts.common.setting_parsers import certificates, ip, networks, setting, whole


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of the server, and of the requests that the site sends."""

    port: int = setting("The port that the server listens on.", whole(65535), default=8000)
    bind: str = setting("The IP address that the server listens on.", ip, default="127.0.0.1")
    unix_socket: str = setting(
        "Path of a Unix socket to listen on in place of PORT, for a proxy on this machine. Only "
        "the file's user and group can connect. Their connections count as coming from 127.0.0.1."
    )
    tls_cert_file: str = setting(
        "Path of the certificate chain (PEM) for TLS 1.2 and 1.3 on PORT. SIGHUP reloads it and "
        "the key without losing a request. If unset, a proxy must terminate TLS."
    )
    tls_key_file: str = setting("Path of the certificate's private key: a file of mode 600 or 640.")
    redirect_port: int = setting(
        "With TLS_CERT_FILE: the port for plain HTTP, which redirects each request to the same "
        "page of ORIGIN and answers ACME challenges; 0 for none.",
        whole(65535, least=0),
        default=0,
    )
    acme_webroot: str = setting(
        "The folder where an ACME client writes `.well-known/acme-challenge/TOKEN` (`certbot "
        "--webroot -w`, `lego --http.webroot`), served on REDIRECT_PORT."
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count, by IP address or network.",
        networks,
        default=(),
    )
    ca_file: str = setting(
        "Path of a file (PEM) with the certificate authorities that the site trusts when it calls "
        "apps and providers, such as `/etc/ssl/certs/ca-certificates.crt`. If unset, those of "
        "Mozilla's list.",
        certificates,
    )

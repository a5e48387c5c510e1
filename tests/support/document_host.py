"""A host of client ID metadata documents on the loopback interface, whose IP address is public."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.common import client_info, http_client
from accounts.oauth.clients.models import Client
from tests.support.receiver import Receiver, say
from tests.support.signin import set_up

# A name that the test certificate authority may vouch for.
HOST, HERE = "app.localhost", "127.0.0.1"
REDIRECT = "https://app.example.org/callback"


class DocumentHost(Receiver):
    """Has one document, at ``client_id``, with ``members`` and ``headers`` that tests change."""

    def reset(self) -> None:
        """Have the usual document again, and forget all requests."""
        self.got.clear()
        self.members: dict[str, Any] = {
            "client_id": self.client_id,
            "client_name": "Reader",
            "redirect_uris": [REDIRECT, "http://127.0.0.1/callback", "http://localhost/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        self.headers = {"Content-Type": "application/json"}
        self.answers = {"/client.json": self._document}

    @property
    def client_id(self) -> str:
        return self.url("/client.json", HOST)

    @property
    def app(self) -> Client:
        """The app that the site has stored; an unsaved one before the site has read anything."""
        return Client.objects.filter(pk=self.client_id).first() or Client(pk=self.client_id)

    @property
    def count(self) -> int:
        """The number of requests to the host."""
        return len(self.got)

    def _document(self, request: Any) -> None:
        say(200, json.dumps(self.members).encode(), **self.headers)(request)


def use(host: DocumentHost, settings: Any, patch: Any) -> None:
    """Let the site read documents at ``host``."""
    host.reset()
    judge = client_info.is_public
    patch.setattr(http_client, "is_public", lambda ip: ip == HERE or judge(ip))
    resolve(patch, [HERE])
    names = (f"{HOST}:{host.port}",)
    set_up(settings, client_metadata_hosts=names, ca_file=str(host.authority))


def resolve(patch: Any, *answers: list[str]) -> None:
    """Let the name server answer each question with the next of ``answers``; the last repeats."""
    left = list(answers)

    def look_up(_host: str, port: int) -> list[tuple[Any, ...]]:
        found = left.pop(0) if len(left) > 1 else left[0]
        kinds = {ip: socket.AF_INET6 if ":" in ip else socket.AF_INET for ip in found}
        return [(kind, socket.SOCK_STREAM, 6, "", (ip, port)) for ip, kind in kinds.items()]

    patch.setattr(http_client, "_addresses", look_up)


@pytest.fixture(scope="session")
def document_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentHost]:
    with DocumentHost(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
def host(
    document_server: DocumentHost, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> DocumentHost:
    """A host whose documents the site reads."""
    use(document_server, settings, monkeypatch)
    return document_server

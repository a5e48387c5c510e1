"""Attacks with webhooks and on them."""

import time

from accounts.activity import events
from accounts.activity.services import Actor, record
from accounts.common import http_client
from accounts.webhooks import services
from accounts.webhooks.models import Delivery, Endpoint
from tests.support.api import call
from tests.support.authorize import address
from tests.support.oauth_client import new_app
from tests.support.process import slack
from tests.support.receiver import WITHIN, drip, flood, hang, say
from tests.support.signin import signed_in
from tests.support.standards import proves
from tests.support.webhooks import send_all, told_at


def waiting():
    return set(Delivery.objects.filter(sent_at=None).values_list("endpoint__description", "answer"))


@proves("V1.3.6", "V13.2.4")
def test_no_private_address_is_reached_unless_the_webhook_says_so(
    alice, receiver, connections, clock, monkeypatch
):
    """Withstands a malicious server."""
    for host in WITHIN:
        endpoint = told_at(f"https://{len(host)}.example.org", description=host, is_private=False)
        Endpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url("/hook", host=host))
    record(alice, events.RENAMED, Actor())

    send_all()

    assert connections == []
    refused = {(host, "ConnectionError") for host in WITHIN}
    assert waiting() == refused
    # Nothing listens there. The answer is the same, so it does not tell which addresses are in use.
    monkeypatch.setattr(http_client, "is_public", lambda _ip: True)
    clock.advance(minutes=1)
    send_all()
    assert connections
    assert waiting() == refused


def test_a_receiver_that_hangs_drips_redirects_or_floods_stops_no_other(
    alice, receiver, monkeypatch
):
    """Withstands a malicious server."""
    monkeypatch.setattr(services, "SECONDS", 1.0)
    receiver.answers = {
        **{"/hangs": hang, "/drips": drip, "/floods": flood},
        "/redirects": say(307, Location=receiver.url("/stolen")),
        "/redirects-nowhere": say(302),
    }
    for path in ("/works", *receiver.answers):
        told_at(receiver.url(path), description=path)
    record(alice, events.RENAMED, Actor())
    began = time.monotonic()

    send_all()

    assert time.monotonic() - began < 4 * slack()
    assert {path for path, _answer in waiting()} == receiver.answers.keys()
    assert ("/redirects", "TooManyRedirects") in waiting()
    assert ("/floods", "TooLong") in waiting()
    assert "/stolen" not in [path for path, *_rest in receiver.sent]


def test_a_security_event_token_opens_nothing(alice, receiver):
    """Withstands a forger."""
    app, here = new_app(), signed_in(alice)
    told_at(receiver.url("/hook"), "session.revoked", format=Endpoint.Format.TOKEN)
    record(alice, events.SIGNED_OUT, Actor())
    send_all()
    token = receiver.sent[-1][2]

    assert call("me/", token=token).status == 401
    assert app.introspect(token).body == {"active": False}
    assert app.redeem(token).error == app.refresh(token).error == "invalid_grant"
    hinted = here.get(address(app.client, id_token_hint=token))
    assert "error=invalid_request" in hinted["Location"]
    proof = app.post("/oauth/token", dpop=token, grant_type="refresh_token", refresh_token="x")
    assert proof.error == "invalid_dpop_proof"

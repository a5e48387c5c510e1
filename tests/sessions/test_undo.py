"""A change can be undone for 30 seconds, once, and only by the session that has made it."""

import re

import pytest

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.sessions import undo
from accounts.twofactor.models import Authenticator
from accounts.twofactor.passkeys import reconsider
from accounts.users.models import User
from tests.support.second_factor import enrolled
from tests.support.signin import signed_in

UNDO, PROFILE = "/accounts/undo/", "/accounts/profile/"
TOO_LATE = "It’s too late to undo that."


def save(client, name="Alicia"):
    fields = {"display_name": name, "about": "", "language": "de", "time_zone": "UTC"}
    return client.post(PROFILE, fields, follow=True)


def offer_of(answer):
    """Return the fields of the form in the message."""
    form = re.search(rf'action="{UNDO}">.*? data-seconds="\d+">', answer.text)
    assert form is not None
    fields = re.findall(r'name="(next|token)" value="(.+?)"', form[0])
    return dict(fields)


def test_a_profile_gets_its_former_values_once_and_the_history_tells_both(client, alice):
    signed_in(alice, client)
    offer = offer_of(save(client))

    answers = [client.post(UNDO, offer, follow=True) for _twice in range(2)]

    assert [answer.redirect_chain[0][0] for answer in answers] == [PROFILE] * 2
    assert ["Undone." in answer.text for answer in answers] == [True, False]
    assert TOO_LATE in answers[1].text
    alice.refresh_from_db()
    assert (alice.display_name, alice.language) == ("", "")
    assert Activity.objects.filter(kind="profile_changed").count() == 2
    save(client)
    assert UNDO not in save(client).text, "nothing has changed"


def test_one_of_two_requests_at_once_undoes_the_change(client, alice):
    signed_in(alice, client)
    save(client)
    _token, change, former, _until = client.session[undo.OFFER]
    read_before = [User.objects.get(), User.objects.get()]

    assert [undo._functions[change](user, former, Actor()) for user in read_before] == [True, False]


def test_a_second_factor_gets_its_former_name_but_a_removed_one_stays_removed(client, alice):
    enrolled(alice)
    signed_in(alice, client)
    factor = Authenticator.objects.get()
    url, former = f"/accounts/2fa/totp/{factor.pk}/", factor.name

    offer = offer_of(client.post(url, {"name": "Old phone"}, follow=True))
    client.post(UNDO, offer)
    factor.refresh_from_db()
    assert factor.name == former

    offer = offer_of(client.post(url, {"name": "Old phone"}, follow=True))
    assert UNDO not in client.post(url, {"remove": "1"}, follow=True).text
    assert TOO_LATE in client.post(UNDO, offer, follow=True).text
    assert not Authenticator.objects.exists()


def test_not_now_can_be_taken_back(client, alice):
    signed_in(alice, client)
    offer = offer_of(client.post("/accounts/2fa/passkeys/offer/", {"not_now": "1"}, follow=True))

    assert "Next step: add a passkey" in client.post(UNDO, offer, follow=True).text
    assert not reconsider(alice), "there is nothing left to take back"


@pytest.mark.parametrize("wrong", ["late", "other session", "other token", "changed meanwhile"])
def test_an_offer_to_undo_ends_soon_and_belongs_to_one_session(wrong, client, alice, clock):
    """Withstands another member."""
    signed_in(alice, client)
    other = signed_in(alice)
    offer = offer_of(save(client))
    if wrong == "late":
        clock.advance(seconds=30)
    if wrong == "changed meanwhile":
        save(other, name="Alix")
    sent = offer | ({"token": "ö"} if wrong == "other token" else {})

    answer = (other if wrong == "other session" else client).post(UNDO, sent)

    assert answer.status_code == 302
    alice.refresh_from_db()
    assert alice.display_name == ("Alix" if wrong == "changed meanwhile" else "Alicia")

"""Back-channel logout: which URIs an app can register."""

import io

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from accounts.oauth.models import Client
from tests.support.apps import WEB, change, register, the_app
from tests.support.invitations import superuser

pytestmark = pytest.mark.django_db


URI = "https://paperless.example.org/logout"


@pytest.mark.parametrize(
    "uri", ["http://shop.example/x", "https://a@shop.example/x", "https://shop.example/#x"]
)
def test_only_an_https_uri_can_be_registered(uri: str) -> None:
    app = Client(name="Shop", redirect_uris=[WEB], backchannel_logout_uri=uri)

    with pytest.raises(ValidationError, match="isn’t allowed"):
        app.full_clean()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "localhost", "a.localhost"])
def test_a_uri_in_a_private_network_needs_a_confirmation(host: str) -> None:
    uri = f"https://{host}/logout"
    app = Client(name="Shop", redirect_uris=[WEB], backchannel_logout_uri=uri)

    with pytest.raises(ValidationError, match="private network"):
        app.full_clean()
    app.backchannel_logout_is_private = True
    app.full_clean()


def test_the_form_and_the_command_register_the_uri() -> None:
    carol = superuser()[1]
    private = "https://10.0.0.1/logout"
    register(carol, backchannel_logout_uri=URI)
    assert the_app().backchannel_logout_uri == URI
    assert "Confirm that" in change(carol, backchannel_logout_uri=private).text
    change(carol, backchannel_logout_uri=private, backchannel_logout_is_private="on")
    assert the_app().backchannel_logout_is_private

    Client.objects.all().delete()
    uris = ("--redirect-uri", WEB, "--backchannel-logout-uri", private)
    call_command("add_client", "Wiki", *uris, stdout=io.StringIO())
    assert (the_app().backchannel_logout_uri, the_app().backchannel_logout_is_private) == (
        private,
        True,
    )

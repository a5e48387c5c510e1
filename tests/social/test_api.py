"""What people do with accounts at providers, over the API."""

from tests.support.api import call, get_tokens
from tests.support.openid_provider import Person
from tests.support.signin import signed_in
from tests.support.social import round_trip
from tests.support.steps import make_user, path_of


def test_a_provider_is_shown_with_the_page_that_connects_it_and_disconnected(op):
    browser = signed_in(make_user("alice"))
    round_trip(browser, op, Person("alice-1"), act="connect")
    browser.post("/accounts/3rdparty/confirm/", {"connect": "1"})
    token = get_tokens()["access"]

    shown = call("providers/", token=token)

    (row,), (offered,) = shown["connected"], shown["offered"]
    assert (row["provider"], offered["key"]) == (offered["name"], "oidc/acme")
    assert browser.get(path_of(offered["url"])).status_code == 200
    assert call(f"providers/{row['id']}/", method="DELETE", token=token).status == 204
    assert call(f"providers/{row['id']}/", method="DELETE", token=token).status == 404
    assert call("providers/", token=token)["connected"] == []

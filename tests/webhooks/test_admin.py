"""The admin pages of webhooks."""

import re

import pytest
from django.contrib.auth.models import Group

from accounts.activity import events
from accounts.activity.models import Activity
from accounts.activity.services import Actor, record
from accounts.administration import known
from accounts.throttle.limits import STAFF
from accounts.throttle.services import hit
from accounts.users.models import User
from accounts.webhooks.models import Delivery, Endpoint
from tests.support.administration import REASON, desk
from tests.support.invitations import staff_with
from tests.support.receiver import say
from tests.support.steps import make_user
from tests.support.webhooks import send_all, told_at

LIST = "/admin/webhooks/endpoint/"
URL = "https://payroll.example.org/hook"
FORM = {
    "reason": REASON,
    "description": "Payroll",
    "url": URL,
    "format": "webhook",
    "kinds": ["user.created"],
}


@pytest.fixture
def carol(db):
    return desk("Superuser")


def page_of(endpoint):
    return f"{LIST}{endpoint.pk}/change/"


def act(browser, endpoint, name, **fields):
    given = {"reason": REASON} | fields
    return browser.post(f"{LIST}{endpoint.pk}/{name}/", given, follow=True)


def secrets_on(page):
    return re.findall(r"whsec_[\w+/=]+", page.text)


def test_a_secret_is_shown_once_and_superusers_hear_of_the_webhook(carol):
    """Withstands a spy."""
    (shown,) = secrets_on(carol.post(f"{LIST}add/", FORM))

    endpoint = Endpoint.objects.get()
    pages = [carol.get(page_of(endpoint)), carol.get(LIST), act(carol, endpoint, "test")]
    assert not any(secrets_on(page) for page in pages)
    assert shown not in str(Endpoint.objects.values())
    (fresh,) = secrets_on(act(carol, endpoint, "secret"))
    assert fresh != shown
    assert "Enter a reason" in act(carol, endpoint, "secret", reason="").text
    refused = act(carol, endpoint, "secret")
    assert "the former one is still valid" in refused.text
    assert secrets_on(act(carol, endpoint, "secret", now="on"))
    kinds = Activity.objects.filter(user__username="carol", detail="Payroll").order_by("pk")
    expected = ["webhook_added", "webhook_sent", *["webhook_changed"] * 2]
    assert [row.kind for row in kinds] == expected
    assert {row.reason for row in kinds if row.kind != "webhook_sent"} == {REASON}


def test_the_form_changes_an_endpoint_and_keeps_deleted_groups(carol):
    gone, sales = (Group.objects.create(name=name) for name in ("gone", "sales"))
    endpoint = told_at(URL, groups=(gone,))
    lost = gone.pk
    gone.delete()

    changes = {"groups": [sales.pk], "kinds": ["user.deleted"], "is_private": "on"}
    assert carol.post(page_of(endpoint), FORM | changes).status_code == 302

    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.kinds) == ("Payroll", ["user.deleted"])
    assert (endpoint.groups, endpoint.is_private) == ([lost, sales.pk], True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://payroll.example.org"},
        {"url": "https://"},
        {"kinds": ["user.x"]},
        {"kinds": []},
        {"groups": ["x"]},
        {"description": "Other"},
        {"description": "a\x00b"},
        {"format": "set", "kinds": ["user.created"]},
        {"reason": ""},
    ],
    ids=str,
)
def test_what_is_wrong_in_the_form_is_refused(carol, wrong):
    told_at(URL, description="Other")

    page = carol.post(f"{LIST}add/", FORM | wrong)

    assert (page.status_code, Endpoint.objects.count()) == (200, 1)
    assert 'class="error"' in page.text


def test_the_page_lists_the_last_answers_and_sends_again(carol, receiver):
    receiver.answers["/hook"] = say(503)
    endpoint = told_at(receiver.url("/hook"))
    row = record(make_user("alice"), events.RENAMED, Actor())
    send_all()
    page = carol.get(page_of(endpoint)).text
    assert f"evt_{row.pk}" in page
    assert "The receiver answered: 503" in page
    page = carol.get(LIST).text
    assert "Failing since: Today" in page
    assert ", ".join(endpoint.kinds) in page
    receiver.answers.clear()

    first = Delivery.objects.get()
    Delivery.objects.update(sent_at=first.created_at)
    assert "on its way" in act(carol, endpoint, "again", delivery=first.pk).text
    assert Activity.objects.get(kind="webhook_sent").user.username == "carol"
    send_all()

    (once, again) = (headers["webhook-id"] for _path, headers, _body in receiver.sent)
    assert once == again
    for delivery in ("x", "", "0", "9" * 30):
        assert act(carol, endpoint, "again", delivery=delivery).status_code == 404


def test_staff_send_a_limited_number_of_tests_and_repetitions(carol):
    """Withstands a member of staff."""
    endpoint, budget = told_at(URL), STAFF.of("act", User.objects.get(username="carol").pk)
    hit(budget._replace(cost=budget.depth - 2 * budget.cost))

    for _ in range(4):
        act(carol, endpoint, "test")

    assert Delivery.objects.count() == 2


def test_a_disabled_webhook_is_told_nothing_until_it_is_enabled(carol):
    endpoint = told_at(URL)
    assert "disabled the webhook" in act(carol, endpoint, "enabled", enabled="no").text
    assert "Enable the webhook before" in act(carol, endpoint, "test").text
    record(make_user("alice"), events.RENAMED, Actor())
    assert not Delivery.objects.exists()
    assert "enabled the webhook" in act(carol, endpoint, "enabled", enabled="yes").text

    assert "on its way" in act(carol, endpoint, "test").text
    assert Delivery.objects.get().type == "test"


def test_whoever_may_only_see_webhooks_changes_none(db):
    """Withstands a member of staff."""
    endpoint = told_at(URL)
    _dave, browser = staff_with("view_endpoint", "change_group", name="dave")

    page = browser.get(page_of(endpoint))
    assert (page.status_code, "Send a test" in page.text) == (200, False)
    for name in ("secret", "enabled", "test", "again"):
        assert act(browser, endpoint, name).status_code == 403


def test_only_superusers_let_a_webhook_into_private_networks_or_change_its_url_there(db):
    """Withstands a member of staff."""
    public, private = told_at(URL, is_private=False), told_at(f"{URL}s", description="Private")
    names = ("add_endpoint", "change_endpoint", "view_endpoint", "change_group")
    _dave, browser = staff_with(*names, name="dave")
    probe = FORM | {"url": "https://10.0.0.1:22", "is_private": "on"}

    browser.post(page_of(public), probe)
    browser.post(page_of(private), probe | {"description": "Private"})
    browser.post(f"{LIST}add/", probe | {"description": "New"})

    assert set(Endpoint.objects.values_list("description", "url", "is_private")) == {
        *(("Payroll", probe["url"], False), ("Private", f"{URL}s", True)),
        ("New", probe["url"], False),
    }


def test_the_page_about_a_departure_lists_the_secrets_that_somebody_has_seen(carol):
    """Withstands a member of staff."""
    carol.post(f"{LIST}add/", FORM)
    (secret,) = known.of(User.objects.get(username="carol"))

    fresh = carol.post(secret.url, secret.fields)

    assert secret.label == "Payroll"
    assert secrets_on(fresh)

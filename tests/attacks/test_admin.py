"""Attacks on the admin."""

from time import sleep

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.signals import pre_save
from django.test import Client

from accounts.activity.models import Activity
from accounts.activity.services import Actor
from accounts.administration import bulk
from accounts.administration.models import BulkPerson
from accounts.administration.roles import NotInRole
from accounts.common.proofs import Method
from accounts.settingsfile.services import WrongFile, apply
from accounts.twofactor.adding import new_link
from accounts.twofactor.models import Authenticator
from accounts.users import rights
from accounts.users.models import User
from tests.support.administration import (
    LIST,
    REASON,
    bulk_page,
    choose,
    desk,
    member,
    page_of,
    rows,
)
from tests.support.apps import make_app
from tests.support.invitations import staff_with
from tests.support.second_factor import (
    CHALLENGE,
    SETUP,
    enrolled,
    set_up_authenticator,
    take_second_step,
    unused_code,
)
from tests.support.second_steps import after_password
from tests.support.signin import set_up, signed_in
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import (
    CODE,
    LOGIN,
    PASSWORD,
    address_of,
    code_in,
    is_signed_in,
    mail_to,
    make_staff,
    make_user,
    outbox,
    path_of,
    sign_in,
)
from tests.support.urls import ROUTES, address

ADMIN = sorted(address(route) for route in ROUTES if route.startswith("admin/"))
RIGHTS = {"is_staff": "on", "is_superuser": "on", "reason": REASON}
INVITATIONS, GROUPS = "/admin/accounts/invitation/", "/admin/auth/group/"
APPS = "/admin/oauth/client/"
AUTOCOMPLETE = "/admin/autocomplete/?app_label=accounts&model_name=invitation&field_name=groups"
TOO_LARGE = "9" * 23


def opens_the_admin(browser):
    return browser.get("/admin/").status_code == 200


@proves("V6.3.3")
def test_a_password_alone_opens_no_admin_page():
    """Withstands a thief with the password."""
    carol = make_staff("carol", has_factor=False)
    enrolled(carol)
    browser = after_password("carol")

    for path in ADMIN:
        answers = [browser.get(path), browser.post(path, {**RIGHTS, "password": PASSWORD})]
        for answer in answers:
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(("/admin/login/", "/accounts/login/")), path
    take_second_step(browser, carol)
    assert opens_the_admin(browser)
    User.objects.update(is_staff=False, is_superuser=False)
    assert not opens_the_admin(browser), "losing the rights takes effect at once"


EVERYTHING = ("add", "change", "delete", "view")
ALL = [f"{act}_{what}" for act in EVERYTHING for what in ("user", "group", "permission")]


@proves("V15.3.3")
def test_staff_with_every_permission_give_no_rights_and_change_no_staff():
    """Withstands a member of staff."""
    (carol, browser), group = staff_with(*ALL), Group.objects.create(name="Owners")
    others = [make_user("alice"), member("owner", "Superuser"), member("bob", "Support")]
    wanted = {**RIGHTS, "groups": group.pk, "user_permissions": [1, 2], "password": "!"}
    before = rows()

    for user in (carol, *others):
        for fields in ({}, wanted):
            assert browser.post(page_of(user), fields).status_code == 403
    browser.post(f"{GROUPS}{group.pk}/change/", {"name": "Owners", "permissions": [1, 2]})

    assert rows() == before
    assert not group.user_set.exists()


@pytest.fixture
def admin():
    """The browser of carol, a superuser."""
    return desk("Superuser")


def helpers():
    return Group.objects.create(name="Helpers")


def right(codename):
    return Permission.objects.get(codename=codename).pk


@proves("V8.3.2")
@pytest.mark.parametrize(
    "rights, subject",
    [
        (lambda: {"is_staff": "on"}, "You are now staff"),
        (lambda: {"is_superuser": "on"}, "You are now a superuser"),
        (lambda: {"groups": helpers().pk}, "Your rights were changed"),
        (lambda: {"user_permissions": right("view_user")}, "Your rights were changed"),
    ],
)
def test_a_change_of_rights_revokes_the_users_sessions_and_notifies_them(admin, rights, subject):
    alice = make_user("alice")
    browser = signed_in(alice)
    admin.post(page_of(alice), {"reason": REASON})
    assert is_signed_in(browser), "nothing was changed"

    admin.post(page_of(alice), rights() | {"reason": REASON})

    assert not is_signed_in(browser)
    assert mail_to("alice").subject == subject
    assert alice.activity.latest("id").actor == "carol"


@pytest.mark.parametrize("way", ["another permission", "deleted"])
def test_changing_or_deleting_a_group_revokes_the_sessions_of_its_members(admin, way):
    group, alice, bob = helpers(), make_user("alice"), make_user("bob")
    alice.groups.add(group)
    hers, his = signed_in(alice), signed_in(bob)
    form = f"{GROUPS}{group.pk}/change/"

    admin.post(form, {"name": "Friends", "reason": REASON})
    assert is_signed_in(hers), "a group's name gives no rights"
    if way == "deleted":
        admin.post(form.replace("change", "delete"), {"reason": REASON})
    else:
        wanted = {"name": "Helpers", "permissions": right("view_user")}
        admin.post(form, wanted | {"reason": REASON})

    assert [is_signed_in(hers), is_signed_in(his)] == [False, True]
    row = alice.activity.get(kind="rights_changed", actor="carol")
    own = User.objects.get(username="carol").activity.get(kind="staff_acted")
    assert (row.reason, own.reason) == (REASON, REASON)
    assert own.detail == "alice: The account’s rights were changed."


@pytest.mark.parametrize("way", ["deleted", "changed", "applied"])
def test_the_rights_of_a_group_with_many_members_do_not_change_in_one_long_transaction(
    admin, way, monkeypatch
):
    """Withstands a flood."""
    monkeypatch.setattr(rights, "MOST_MEMBERS", 1)
    paths = {"deleted": "delete", "changed": "change"}
    group, form = helpers(), {"name": "Friends", "permissions": right("view_user")}
    before = [*group.permissions.all()]
    for name in ("alice", "bob"):
        make_user(name).groups.add(group)
    assert admin.post(f"{GROUPS}{group.pk}/change/", {"name": "Friends", "reason": REASON}).url

    if way == "applied":
        with pytest.raises(WrongFile, match=r"groups\.Friends: This group has more than"):
            apply("[groups.Friends]\nrights = ['accounts.view_user']\n")
    else:
        page = admin.post(f"{GROUPS}{group.pk}/{paths[way]}/", form | {"reason": REASON})
        assert (page.status_code, "remove some members first" in page.text) == (400, True)

    assert [*Group.objects.get(name="Friends").permissions.all()] == before
    assert not Activity.objects.filter(kind="rights_changed").exists()


def test_a_group_that_an_app_needs_is_not_deleted(admin):
    group = helpers()
    make_app(required_group=group)

    page = admin.post(f"{GROUPS}{group.pk}/delete/", {"reason": REASON}, follow=True)

    assert "An app is only for people in this group." in page.text
    assert Group.objects.filter(pk=group.pk).exists()


def test_nobody_changes_rights_without_a_reason(admin):
    """Withstands a member of staff."""
    alice, group = make_user("alice"), helpers()
    alice.groups.add(group)

    for page, fields in (
        (page_of(alice), {"is_staff": "on"}),
        (f"{GROUPS}{group.pk}/change/", {"name": "Owners"}),
        (f"{GROUPS}{group.pk}/delete/", {"post": "yes"}),
    ):
        assert "Enter a reason." in admin.post(page, fields).text
    admin.post(GROUPS, {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"})

    assert not User.objects.get(pk=alice.pk).is_staff
    assert Group.objects.get(pk=group.pk).name == "Helpers"


def test_changing_your_own_rights_keeps_only_the_current_session(admin):
    carol = User.objects.get(username="carol")
    elsewhere = signed_in(carol)

    admin.post(page_of(carol), {**RIGHTS, "groups": helpers().pk})

    assert carol.groups.exists()
    assert [is_signed_in(admin), is_signed_in(elsewhere)] == [True, False]


def test_saving_an_admin_form_does_not_restore_a_password_changed_meanwhile(admin):
    alice = make_user("alice")

    def meanwhile(instance, **_more):
        User.objects.filter(pk=alice.pk).update(password="!", email=address_of("bob"))

    pre_save.connect(meanwhile, sender=User)
    try:
        admin.post(page_of(alice), {"is_staff": "on", "reason": REASON})
    finally:
        pre_save.disconnect(meanwhile, sender=User)

    alice.refresh_from_db()
    assert (alice.is_staff, alice.password, alice.email) == (True, "!", address_of("bob"))


def test_setting_a_password_on_the_command_line_changes_no_other_field():
    read_before_typing = make_user("alice")
    User.objects.update(is_active=False)

    read_before_typing.set_password("slow comet over the harbour")
    read_before_typing.save()

    alice = User.objects.get()
    assert not alice.is_active
    assert alice.check_password("slow comet over the harbour")


@proves("V1.2.1")
@pytest.mark.parametrize("query", ["x " * 1500, "a\0b", "\ud800", TOO_LARGE])
def test_no_search_causes_a_server_error(admin, query):
    """Withstands a hostile client."""
    text = query.encode("utf-8", "surrogatepass")
    for path in (LIST, INVITATIONS, GROUPS, APPS):
        assert admin.get(path, {"q": text}).status_code == 200, path
    assert admin.get(AUTOCOMPLETE, {"term": text}).status_code in {200, 403}


def test_a_condition_in_the_url_of_a_list_is_refused(admin):
    """Withstands a member of staff: a filter reveals a digest.

    Databases fail at a NUL or a broken pattern, and a pattern reveals a password hash.
    """
    for path, condition in (
        (LIST, {"password__startswith": "argon2"}),
        (LIST, {"last_login__year": "99999999999"}),
        (GROUPS, {"name__regex": "("}),
        (INVITATIONS, {"email_key": "a\0"}),
        (LIST, {"username__regex": "("}),
    ):
        assert admin.get(path, condition).status_code == 400, path


@pytest.mark.parametrize("odd", ["x", "-", "a\0b", TOO_LARGE])
def test_an_id_that_no_row_can_have_is_refused_in_lists_and_forms(admin, odd):
    alice = make_user("alice")

    chosen = {"action": "end-sessions", "_selected_action": odd}
    assert admin.post(LIST, chosen).status_code == 400
    for path, field in (
        (page_of(alice), "groups"),
        (page_of(alice), "user_permissions"),
        (f"{GROUPS}add/", "permissions"),
        (f"{INVITATIONS}add/", "groups"),
    ):
        form = {"name": "New", "email": address_of("dave"), "days": "7", field: odd}
        assert "is not a valid value" in admin.post(path, form).text, (path, field)


NAMES = ("alice", "bob", "dave")


def started(carol):
    """Return a bulk act of carol that deactivates three people, and has been started."""
    for name in NAMES:
        make_user(name)
    prepared = bulk.prepare("deactivate", carol, Actor(), User.objects.filter(username__in=NAMES))
    bulk.start(prepared, REASON, Actor())
    return prepared


def deactivated():
    return set(User.objects.filter(is_active=False).values_list("username", flat=True))


def test_a_role_that_is_lost_meanwhile_stops_a_bulk_act(monkeypatch):
    """Withstands a member of staff."""
    carol = member("carol", "Support")
    prepared = started(carol)
    real = bulk.acts.perform

    def demote_after_the_first(*args, **kwargs):
        real(*args, **kwargs)
        carol.groups.clear()

    monkeypatch.setattr(bulk.acts, "perform", demote_after_the_first)

    bulk.work(prepared, carol, Actor())
    bulk.work(prepared, member("erin", "Superuser"), Actor())

    prepared.refresh_from_db()
    assert (len(deactivated()), prepared.stopped) == (1, "not_in_role")


def test_somebody_who_has_become_staff_meanwhile_is_left_out():
    carol = member("carol", "Support")
    prepared = started(carol)
    User.objects.filter(username="bob").update(is_staff=True)

    bulk.work(prepared, carol, Actor())

    assert deactivated() == {"alice", "dave"}
    assert BulkPerson.objects.get(user__username="bob").outcome == "not_allowed_on_staff"


def test_staff_neither_see_nor_continue_the_bulk_acts_of_others():
    page = f"{LIST}bulk/{started(member('carol', 'Support')).pk}/"
    erin = desk("Superuser", "erin")

    assert [erin.get(page).status_code, erin.post(page).status_code] == [404, 404]

    assert deactivated() == set()


def test_superusers_hear_of_many_small_bulk_acts_as_of_a_large_one(clock):
    """Withstands a member of staff."""
    member("erin", "Superuser")
    carol, people = desk("Manager"), [make_user(f"user{n}") for n in range(21)]
    for chosen in (people[:10], people[10:20]):
        carol.post(bulk_page(choose(carol, "deactivate", chosen)), {"reason": REASON})
    assert not Activity.objects.filter(kind="bulk_started").exists()

    page = bulk_page(choose(carol, "delete", people[20:]))
    for _ in range(2):
        carol.post(page, {"reason": REASON})

    row = Activity.objects.get(kind="bulk_started")
    assert (str(row.user), row.actor, row.reason) == ("erin", "carol", REASON)
    assert row.detail == "Delete the accounts: 1"
    told = [mail for mail in outbox() if mail.subject == row.event.subject]
    assert [mail.to for mail in told] == [address_of("erin")]


def test_staff_who_only_read_prepare_no_bulk_act():
    alice, auditor = make_user("alice"), member("carol", "Auditor")

    assert choose(signed_in(auditor), "deactivate", [alice]).status_code == 403
    with pytest.raises(NotInRole):
        bulk.prepare("deactivate", auditor, Actor(), User.objects.all())

    assert not BulkPerson.objects.exists()


def test_a_bulk_act_needs_a_recent_second_factor(clock):
    """Withstands a thief with a cookie."""
    carol, alice = desk(), make_user("alice")
    page = bulk_page(choose(carol, "deactivate", [alice]))
    clock.advance(minutes=11)

    sent = (carol.get(page), carol.post(page, {"reason": REASON}))
    for answer in (*sent, choose(carol, "deactivate", [alice])):
        assert answer.url.startswith("/accounts/reauthenticate/")
    assert deactivated() == set()


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_act_on_nobody_twice(monkeypatch):
    """Withstands a race."""
    acted: list[str] = []

    def slow(_name, _staff, _actor, user, **_more):
        # The other request has read whose turn it is by the end of this pause.
        sleep(0.05)
        acted.append(user.username)

    monkeypatch.setattr(bulk.acts, "perform", slow)
    carol = member("carol", "Support")
    prepared = started(carol)

    together(2, lambda _i: bulk.work(prepared, carol, Actor()))

    assert sorted(acted) == sorted(NAMES)
    assert set(prepared.people.values_list("outcome", flat=True)) == {"done"}


def after_mailed_code(login, browser):
    """Take the first step with a mailed code; return the answer."""
    browser.post(CODE, {"login": login})
    return browser.post(CODE, {"code": code_in(mail_to(login))})


def test_a_trusted_browser_and_the_mailbox_cannot_enrol_a_passkey_for_staff(settings):
    """Withstands a thief with the mailbox."""
    carol = make_user("carol", is_staff=True, is_superuser=True)
    enrolled(carol)
    browser = Client()
    sign_in(browser, "carol")
    browser.post(CHALLENGE, {"code": unused_code(carol), "trust": "on"})
    browser.cookies.pop("sessionid")
    set_up(settings, staff_factor="passkey")

    answer = after_mailed_code("carol", browser)

    assert answer["Location"] == CHALLENGE
    assert browser.get("/accounts/2fa/passkeys/add/")["Location"] == CHALLENGE
    browser.post(CHALLENGE, {"code": unused_code(carol)})
    assert browser.get("/accounts/2fa/passkeys/add/").status_code == 200


@pytest.mark.parametrize("promoted", [True, False])
def test_the_mailbox_or_the_password_alone_cannot_enrol_a_factor_for_staff(promoted):
    """Withstands a thief with the mailbox."""
    carol = make_user("carol", is_staff=True, is_superuser=True)
    if promoted:
        User.objects.filter(pk=carol.pk).update(credential_version=1)
    else:
        User.objects.filter(pk=carol.pk).update(last_login=carol.date_joined)
    by_mail, by_password = Client(), Client()

    assert after_mailed_code("carol", by_mail)["Location"] == LOGIN
    assert by_mail.get(SETUP)["Location"].startswith(LOGIN)
    assert sign_in(by_password, "carol")["Location"] == CHALLENGE
    assert by_password.get(SETUP)["Location"] == CHALLENGE
    by_password.post(CHALLENGE, {"mail": "1"})
    answer = by_password.post(CHALLENGE, {"code": code_in(mail_to("carol"))})

    assert answer["Location"] == SETUP
    assert by_password.get(SETUP).status_code == 200


@proves("V6.4.1")
def test_an_enrolment_link_works_once_for_staff_without_a_factor(capsys):
    carol = make_user("carol", is_staff=True, last_login=make_user("bob").date_joined)
    call_command("enrolment_link", "carol")
    link = path_of(capsys.readouterr().out.strip())
    scanner, browser, thief = Client(), Client(), Client()

    assert scanner.get(link).status_code == 200
    assert browser.post(link)["Location"] == SETUP
    assert thief.post(link).status_code == 404
    assert browser.get(SETUP).status_code == 200
    enrolled(carol)
    for name in ("carol", "bob"):
        with pytest.raises(CommandError):
            call_command("enrolment_link", name)


@pytest.mark.parametrize(
    "change",
    [
        enrolled,
        lambda _carol: User.objects.update(credential_version=F("credential_version") + 1),
        lambda _carol: User.objects.update(is_staff=False),
        lambda _carol: User.objects.update(is_active=False),
    ],
    ids=["a factor", "other credentials", "no rights", "deactivated"],
)
def test_an_enrolment_link_ends_when_the_account_changes(change):
    make_user("bob", is_staff=True)
    carol = make_user("carol", is_staff=True)
    link = path_of(new_link(carol))
    assert "carol" in Client().get(link).text

    change(carol)

    assert [Client().get(link).status_code, Client().post(link).status_code] == [404, 404]


@pytest.mark.parametrize("by", [(Method.MAIL,), (Method.PASSWORD,)])
def test_a_session_with_one_proof_from_before_a_promotion_cannot_add_a_factor(by):
    """Withstands a thief with the password."""
    carol = make_user("carol")
    session = signed_in(carol, by=by)
    User.objects.update(is_staff=True)

    for page in (SETUP, "/accounts/2fa/passkeys/add/"):
        assert session.post(page).status_code == 403

    assert not Authenticator.objects.exists()
    both = signed_in(make_user("bob"), by=(Method.PASSWORD, Method.MAIL))
    User.objects.update(is_staff=True)
    assert set_up_authenticator(both).url.startswith("/accounts/2fa/")

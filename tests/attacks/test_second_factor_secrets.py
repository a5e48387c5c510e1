"""Seeds, codes and links: in no dump, no log, no cookie, no page after the one that shows them."""

import base64
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import InvalidToken
from django.apps import apps

from accounts.sessions.models import BrowserSession
from accounts.sessions.store import SessionStore
from accounts.twofactor.models import CODES_PURPOSE, Authenticator, RecoveryCodes
from tests.attacks.second_steps import half_way, mails_about, new_recovery_codes, staff, with_factor
from tests.house.test_urls import ROUTES, address
from tests.support.client import Client as HttpClient
from tests.support.second import (
    CHALLENGE,
    RECOVERY_CODES,
    SETUP,
    code_of,
    recovery_codes_on,
    seed_on,
)
from tests.support.signin import signed_in
from tests.support.site import Site, text_of
from tests.support.steps import make_user, path_of, sign_in, sign_up

pytestmark = pytest.mark.django_db


def writings_of_seed(seed: str) -> set[bytes]:
    """A seed as anybody who looks for one would find it."""
    raw = bytes.fromhex(seed)
    plain = {base64.b32encode(raw), base64.b64encode(raw), seed.encode(), raw}
    return plain | {text.lower() for text in plain - {raw}} | {seed.upper().encode()}


def writings_of_codes(codes: list[str]) -> set[bytes]:
    """The same of recovery codes, and of their digests without a salt."""
    bare = [code.replace("-", "") for code in codes]
    digests = [sha256(code.encode()).hexdigest() for code in [*codes, *bare]]
    return {text.encode() for text in [*codes, *bare, *digests]}


def salted_digests(user: Any) -> set[bytes]:
    """What is compared with, which is sealed as well."""
    from accounts.kernel import crypto

    kept = json.loads(crypto.unseal(RecoveryCodes.objects.get(user=user).sealed, CODES_PURPOSE))
    return {text.encode() for text in [kept["salt"], *kept["digests"]]}


def everything_stored() -> bytes:
    """All rows of all tables, and what is packed into sessions, as text."""
    rows = [str(row) for model in apps.get_models() for row in model.objects.values()]
    sessions = [
        json.dumps(SessionStore().decode(row.session_data)) for row in BrowserSession.objects.all()
    ]
    return "\n".join([*rows, *sessions]).encode()


def test_no_row_shows_a_seed_or_a_recovery_code_or_its_digest() -> None:
    carol = staff()
    browser = half_way("carol")
    seed = seed_on(browser.get(SETUP).text)
    while_enrolling = everything_stored()
    browser.post(SETUP, {"code": code_of(seed)})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    while_shown = everything_stored()
    browser.post(RECOVERY_CODES, {"code": codes[0]})
    afterwards = everything_stored()
    assert len(codes) == 10

    hidden = writings_of_seed(seed) | writings_of_codes(codes) | salted_digests(carol)
    assert b"carol" in while_enrolling
    for dump in (while_enrolling, while_shown, afterwards):
        assert [text for text in hidden if text in dump] == []


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    from accounts.kernel import crypto

    alice, seed = with_factor()
    sealed = Authenticator.objects.get(user=alice).sealed_seed
    assert crypto.unseal(sealed, "totp.seed") == seed

    for purpose in (CODES_PURPOSE, "totp_seed", "recovery_codes", "mail"):
        with pytest.raises(InvalidToken):
            crypto.unseal(sealed, purpose)


def test_no_page_of_the_admin_shows_a_superuser_a_seed_a_digest_or_a_code() -> None:
    from django.contrib import admin

    tables = {model.__name__ for site in admin.sites.all_sites for model in site._registry}
    assert tables == {"User", "Group"}
    alice, seed = with_factor()
    codes = new_recovery_codes(alice)
    half_way().post(CHALLENGE, {"lost": "ask"})
    link = path_of(mails_about("remove your second factors")[-1].action_url)
    carol = staff()
    browser = signed_in(carol)
    rows = [
        *(Authenticator.objects.values_list("sealed_seed", flat=True)),
        *(RecoveryCodes.objects.values_list("sealed", flat=True)),
    ]
    hidden = writings_of_seed(seed) | writings_of_codes(codes) | salted_digests(alice)
    hidden |= {row.encode() for row in rows} | {link.rstrip("/").rpartition("/")[2].encode()}

    pages = [address(route) for route in ROUTES if route.startswith("admin/")]
    pages += [
        f"/admin/accounts/user/{user.pk}/{page}/"
        for user in (alice, carol)
        for page in ("change", "history", "delete")
    ]
    shown = [browser.get(page, follow=True).content for page in pages]
    shown.append(browser.get("/admin/accounts/user/", {"q": "alice"}).content)

    assert sum(b"alice" in page for page in shown) >= 3
    for page in shown:
        assert [text for text in hidden if text in page] == []


def test_pages_with_a_secret_are_stored_nowhere() -> None:
    staff()
    browser = half_way("carol")
    answers = [browser.get(SETUP)]
    seed = seed_on(answers[0].text)
    answers += [
        browser.post(SETUP, {"code": "000000"}),
        browser.post(SETUP, {"code": code_of(seed)}),
    ]
    answers += [browser.get(RECOVERY_CODES), browser.post(f"{RECOVERY_CODES}file/")]
    answers += [browser.post(RECOVERY_CODES, {"code": "aaaaa-aaaaa"})]
    half = half_way("carol")
    answers += [half.get(CHALLENGE), half.post(CHALLENGE, {"code": "000000"})]
    answers += [half.get("/accounts/2fa/recovery/no-such-token/")]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 302, 200, 200, 200, 200, 200, 404]

    for answer in answers:
        assert "no-store" in answer["Cache-Control"]
    assert "attachment" in answers[4]["Content-Disposition"]


def test_what_was_shown_once_is_shown_to_nobody_else() -> None:
    alice, _seed = with_factor()
    browser = signed_in(alice)
    browser.post(RECOVERY_CODES, {"new": "1"})
    codes = recovery_codes_on(browser.get(RECOVERY_CODES).text)
    alice.refresh_from_db()
    elsewhere, mallory = signed_in(alice), signed_in(make_user("mallory"))

    for other in (elsewhere, mallory):
        assert recovery_codes_on(other.get(RECOVERY_CODES, follow=True).text) == []
        assert codes[0] not in other.post(f"{RECOVERY_CODES}file/", follow=True).text
    browser.post("/accounts/logout/")
    sign_in(browser, "mallory")
    assert recovery_codes_on(browser.get(RECOVERY_CODES, follow=True).text) == []


def test_no_cookie_holds_anything_of_a_second_step() -> None:
    _alice, seed = with_factor()
    browser = half_way()
    browser.post(CHALLENGE, {"mail": "1"})
    code = str(mails_about("code")[-1].code)

    cookies = "".join(morsel.OutputString() for morsel in browser.cookies.values())

    assert set(browser.cookies) <= {"sessionid", "csrftoken"}
    assert len(browser.cookies["sessionid"].value) == 43
    assert code not in cookies
    assert seed not in cookies
    browser.post(CHALLENGE, {"code": code})
    assert set(browser.cookies) <= {"sessionid", "csrftoken", "known"}


def enrolled_at(site: Site, name: str) -> tuple[HttpClient, str, list[str]]:
    """A browser at the real site whose owner has signed up and turned a factor on."""
    browser = site.client()
    assert sign_up(browser, name).status == 302
    code = str(site.wait_for_mail(to=f"{name}@")["Subject"]).partition(" ")[0]
    assert browser.post("/accounts/confirm-email/", {"code": code}).location == "/"
    seed = seed_on(browser.get(SETUP).text)
    assert browser.post(SETUP, {"code": code_of(seed)}).location == RECOVERY_CODES
    return browser, seed, recovery_codes_on(browser.get(RECOVERY_CODES).text)


def test_secrets_are_not_in_the_log_nor_on_disk(site: Site) -> None:
    browser, seed, codes = enrolled_at(site, "alice")
    used = code_of(seed, 1)
    secrets = {used, base64.b32encode(bytes.fromhex(seed)).decode(), seed}
    other = site.client()
    assert sign_in(other, "alice").location == CHALLENGE
    assert other.post(CHALLENGE, {"mail": "1"}).status == 302
    mail = site.wait_for_mail(to="alice@", subject="code to")
    secrets |= {str(mail["Subject"]).partition(" ")[0]}
    for typed in ("zzzzz-22222", used, codes[1]):
        secrets.add(typed)
        other.get(f"{CHALLENGE}?code={typed}")
        other.post(f"{CHALLENGE}x/", {"code": typed}, csrf=False)
        other.post(CHALLENGE, {"code": typed}, csrf=False)
    assert other.post(CHALLENGE, {"lost": "ask"}).status == 302
    text = text_of(site.wait_for_mail(to="alice@", subject="remove your second factors"))
    found = re.search(r"(/accounts/2fa/recovery/[\w-]+/)", text)
    assert found
    link = found[1]
    for path in (link, link.rstrip("/"), f"{link}?a=1", f"{link}/x"):
        site.client().get(path)
        site.client().request("PUT", path)
        site.client().post(path, {}, csrf=False)
    secrets.add(link.rstrip("/").rpartition("/")[2])
    assert other.post(CHALLENGE, {"code": codes[2]}).location == "/"
    secrets |= {codes[2], codes[3], codes[3].replace("-", "")}
    disk = b"".join(path.read_bytes() for path in files_of(site.data_dir))

    log = site.log()
    assert "/accounts/2fa/recovery/[secret]" in log
    for secret in secrets:
        assert secret not in log, secret
    # Six digits stand in any file of this size.
    for secret in secrets - {used}:
        assert secret.encode() not in disk, secret
    for text_in_clear in writings_of_seed(seed) | writings_of_codes(codes):
        assert text_in_clear not in disk
    assert browser.get("/").status == 200


def files_of(folder: Path) -> list[Path]:
    """The database and what lies beside it; the mails are those that were sent."""
    return [path for path in folder.glob("db.sqlite3*") if path.is_file()]

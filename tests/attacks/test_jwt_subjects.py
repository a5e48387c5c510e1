"""Tokens whose signature is good and whose person or sign-in is odd: 401 from either database."""

import dataclasses
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.attacks.test_two_nodes import BOTH, database
from tests.support.api_jwt import (
    ME,
    REVOKE,
    Mint,
    call,
    get_tokens,
    join,
    mint_of,
    refused,
    taken,
)
from tests.support.client import Client
from tests.support.site import Site
from tests.support.steps import PASSWORD, sign_in, sign_up, sql

MAKE = """
from accounts.users import services as s
from accounts.passwords.services import hash_password as h
for name in {names!r}:
    s.hold_name(name, until=None)
    s.confirm_address(s.create_user(name, h({password!r})), name + "@example.org")
from accounts.tokens import keys, ring
print(keys.to_pem(ring.signer().key))
"""
PEOPLE = ("alice", "bob", "carol", "dave", "mallory")


@dataclass(frozen=True)
class Stolen:
    """A site whose signing key is known, and what it signs for each person."""

    site: Site
    mints: dict[str, Mint]

    @property
    def client(self) -> Client:
        return self.site.client()


@pytest.fixture(scope="module", params=BOTH)
def stolen(request: pytest.FixtureRequest) -> Iterator[Stolen]:
    env = database(request, request.param)
    with Site(TOKEN_ALGORITHM="ES256", LIMITS_SCALE="1000", **env) as site:
        pem = site.manage("shell", "-c", MAKE.format(names=PEOPLE, password=PASSWORD))
        key = load_pem_private_key(pem[pem.index("-----BEGIN") :].encode(), None)
        clients = {name: get_tokens(site.client(), name, PASSWORD)["access"] for name in PEOPLE}
        yield Stolen(site, {name: mint_of(token, key) for name, token in clients.items()})


def ids(good: str) -> list[Any]:
    """Other values than ``good``, which is an id."""
    bare = good.replace("-", "")
    return [
        *(None, True, 0, 1, -1, 2**31, 2**63, 2**64, 10**300, 1.5, "", " ", "0", "1", "-1"),
        *([], [good], [[good]], {}, {"id": good}, {good: 1}, "9" * 40, "\ud800"),
        *("\0", f"{good}\0", f"\0{good}", f" {good}", f"{good} ", f"{good}\n", f"{good}0"),
        *(good.upper(), f"urn:uuid:{good}", f"{{{good}}}", bare, str(int(bare, 16)), good[:-1]),
        *(to_arabic(good), to_wide(good), good.replace("-", "\u2010"), good[::-1], "a" * 5000),
        *("alice", "alice@example.org", "' OR 1=1 --", "%", "*", "me", "null", "None", "../../me"),
        *("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        str(uuid.uuid5(uuid.NAMESPACE_URL, good)),
    ]


def to_arabic(text: str) -> str:
    """The same id to whoever reads digits by ``int``."""
    return text.translate({ord(str(i)): chr(0x660 + i) for i in range(10)})


def to_wide(text: str) -> str:
    """The same id to whoever normalizes."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in text)


@pytest.mark.parametrize("claim", ["sub", "sid"])
def test_an_odd_subject_or_sign_in_is_refused_and_no_fault(stolen: Stolen, claim: str) -> None:
    mint = stolen.mints["alice"]
    odd = ids(mint.claims[claim])
    tokens = {
        f"{value!r:.50} {i}": join(mint.header, mint.claims | {claim: value}, mint.sign)
        for i, value in enumerate(odd)
    }

    assert not refused(stolen.client, mint.token())
    assert len(tokens) > 40
    assert taken(tokens, stolen.client) == []


def test_nobody_is_let_in_by_anothers_sign_in(stolen: Stolen) -> None:
    alice, bob = stolen.mints["alice"], stolen.mints["bob"]

    assert taken({
        "alice in bob's": alice.token(sid=bob.claims["sid"]),
        "bob in alice's": bob.token(sid=alice.claims["sid"]),
        "subject as sign-in": alice.token(sid=alice.claims["sub"]),
        "sign-in as subject": alice.token(sub=alice.claims["sid"]),
        "swapped": alice.token(sub=alice.claims["sid"], sid=alice.claims["sub"]),
    }, stolen.client) == []  # fmt: skip


def test_a_browsers_session_carries_no_token(stolen: Stolen) -> None:
    browser = stolen.client
    assert sign_in(browser, "mallory").status == 302
    rows = sql(
        stolen.site,
        "SELECT s.id FROM accounts_loginsession s JOIN accounts_user u ON u.id = s.user_id "
        "WHERE u.username = ? AND s.kind = ? AND s.ended_at IS NULL",
        *("mallory", "browser"),
    )
    ((found,),) = rows
    sid = str(uuid.UUID(str(found)))

    assert refused(stolen.client, stolen.mints["mallory"].token(sid=sid))
    token = stolen.mints["mallory"].token(sid=sid)
    assert call(stolen.client, REVOKE, {"token": token}).status == 200
    assert browser.get("/").status == 200, "what is no token of it ends no session either"


def test_a_pending_sign_up_is_nobody(stolen: Stolen) -> None:
    assert sign_up(stolen.client, "pending").status == 302
    ((found,),) = sql(
        stolen.site, "SELECT id FROM accounts_pendingsignup WHERE username = ?", "pending"
    )
    pending = str(uuid.UUID(str(found)))
    alice = stolen.mints["alice"]

    assert taken({
        "subject": alice.token(sub=pending),
        "sign-in": alice.token(sid=pending),
        "both": alice.token(sub=pending, sid=pending),
    }, stolen.client) == []  # fmt: skip


def test_tokens_of_somebody_deleted_or_switched_off_are_dead(stolen: Stolen) -> None:
    dave, carol = stolen.mints["dave"], stolen.mints["carol"]
    users = "from accounts.users.models import User as U;U.objects.filter"
    assert call(stolen.client, ME, authorization=f"Bearer {dave.token()}").status == 200

    stolen.site.manage(
        "shell",
        "-c",
        f"{users}(username='dave').delete();{users}(username='carol').update(is_active=False)",
    )

    assert taken({"deleted": dave.token(), "off": carol.token()}, stolen.client) == []


def test_an_odd_scope_gives_no_right(stolen: Stolen) -> None:
    """No fault, and no more than its words; a service may put its own words there."""
    for scope in ("", " ", "admin", "READ", "read:profile", "profile", "profile:", ":read", "*",
                  "profile:read:write", "\0", "read\0", "\u202eread"):  # fmt: skip
        token = stolen.mints["alice"].token(scope=scope)
        answer = call(stolen.client, ME, authorization=f"Bearer {token}")
        assert answer.short == (403, "insufficient_scope"), scope


def test_the_stolen_key_itself_is_what_all_this_takes(stolen: Stolen) -> None:
    """The same claims by any other key are nothing: what was shown above is the claims' doing."""
    from accounts.tokens import keys

    own = dataclasses.replace(stolen.mints["alice"], key=keys.generate("ES256"))

    assert refused(stolen.client, own.token())

"""Races between calls of one person at two server processes."""

import base64
import json

import pytest

from tests.support import api_jwt
from tests.support.api import call, get_tokens, second_step
from tests.support.api_jwt import ME
from tests.support.api_keys import recent_token
from tests.support.disputes import NEW
from tests.support.nodes import AT_ONCE, browser_at
from tests.support.races import confirmed, live_sessions, times_in_history
from tests.support.second_factor import code_of
from tests.support.second_factor_races import enrolled
from tests.support.site import together
from tests.support.steps import PASSWORD, code_in, sql
from tests.support.webauthn import Passkey

IP = "192.0.2.1"
# The answer on a slow machine, where the other calls occupy every hashing slot.
BUSY = 429


def at_once(nodes, path, data, **more):
    """Return the statuses of equal calls at once, at each node in turn."""
    there = [browser_at(node, IP) for node in nodes]
    answers = together(AT_ONCE, lambda i: call(path, data, client=there[i % 2], **more))
    return sorted(answer.status for answer in answers)


def mailed_proof(nodes, name, path, subject):
    """Request a code by email; return it with its challenge."""
    asked = call(path, {"username": name}, client=browser_at(nodes[0], IP))
    mail = nodes[0].wait_for_mail(to=f"{name}@", subject=subject)
    return {"challenge": asked["challenge"], "code": code_in(mail)}


def code_of_secret(secret):
    """Return the code that an authenticator app shows."""
    return code_of(base64.b32decode(secret).hex())


def token_of(nodes, name):
    """Sign up; return an access token."""
    confirmed(nodes, name)
    return get_tokens(name, browser_at(nodes[0], IP))["access"]


def sign_ins_with_one_emailed_code(nodes, name):
    """One of them signs in."""
    confirmed(nodes, name)
    proof, before = (
        mailed_proof(nodes, name, "login/code/", "to sign in"),
        live_sessions(nodes, name),
    )

    assert at_once(nodes, "login/code/confirm/", proof) == [200] + [400] * (AT_ONCE - 1)
    assert live_sessions(nodes, name) == before + 1


def resets_with_one_emailed_code(nodes, name):
    """One of them sets the password."""
    confirmed(nodes, name)
    proof = mailed_proof(nodes, name, "password/reset/", "new password")

    statuses = at_once(nodes, "password/reset/confirm/", {**proof, "password": NEW})

    assert statuses.count(200) == 1
    assert {*statuses} <= {200, 400, BUSY}
    assert times_in_history(nodes, name, "password_reset") == 1


def changes_of_one_profile_as_it_was_read(nodes, name):
    """No change is lost: one is made, and the others learn that they have read an old profile."""
    authorization = f"Bearer {token_of(nodes, name)}"
    there = [browser_at(node, IP) for node in nodes]
    etag = api_jwt.call(there[0], ME, authorization=authorization).headers["ETag"]
    sent = {"method": "PATCH", "authorization": authorization, "If_Match": etag}

    answers = together(
        AT_ONCE, lambda i: api_jwt.call(there[i % 2], ME, {"about": f"text {i}"}, **sent)
    )

    assert sorted(answer.status for answer in answers) == [200] + [412] * (AT_ONCE - 1)
    (made,) = [answer["about"] for answer in answers if answer.status == 200]
    assert api_jwt.call(there[1], ME, authorization=authorization)["about"] == made


def confirmations_of_one_added_email(nodes, name):
    """One of them adds the address."""
    token, here = token_of(nodes, name), browser_at(nodes[0], IP)
    email = f"{name}@example.net"
    row = call("emails/", {"email": email}, token=token, client=here)["id"]
    code = {"code": code_in(nodes[0].wait_for_mail(to=email))}

    statuses = at_once(nodes, f"emails/{row}/confirm/", code, token=token)

    # The late ones find the code used, the address confirmed, or the account changed.
    assert statuses[0] == 200
    assert {*statuses[1:]} <= {400, 404, 409}
    assert len(call("emails/", token=token, client=here)["results"]) == 2


def additions_of_one_authenticator_app(nodes, name):
    """One of them adds the app: two with the same secret would accept each code twice."""
    token, here = token_of(nodes, name), browser_at(nodes[0], IP)
    setup = call("factors/totp/setup/", token=token, method="POST", client=here)
    code = code_of_secret(setup["secret"])

    statuses = at_once(nodes, "factors/totp/", {"setup": setup["setup"], "code": code}, token=token)

    assert statuses.count(201) == 1
    assert max(statuses) < 500
    assert len(call("factors/", token=token, client=here)["authenticators"]) == 1


def reauthentications_with_one_recovery_code(nodes, name):
    """One of them counts."""
    _owner, _seed, codes = enrolled(nodes, name)
    here = browser_at(nodes[0], IP)
    challenge = get_tokens(name, here)["challenge"]
    second = {"challenge": challenge, "code": codes[0]}
    token = call("token/challenge/", second, client=here)["access"]

    statuses = at_once(nodes, "reauthenticate/", {"code": codes[1]}, token=token)

    assert statuses == [200] + [401] * (AT_ONCE - 1)


def calls_with_one_response_of_a_passkey(nodes, name):
    """One of them signs in, and the others are not reported as a copied key."""
    token, here = token_of(nodes, name), browser_at(nodes[0], IP)
    passkey = Passkey(counts=True)
    options = call("passkeys/registration/", method="POST", token=token, client=here).body
    made = json.loads(passkey.create(options, origin=here.origin))
    assert call("passkeys/", {"credential": made}, token=token, client=here).status == 201
    options = call("passkeys/options/", method="POST", client=here).body
    credential = json.loads(passkey.get(options, origin=here.origin))

    statuses = at_once(nodes, "token/", {"credential": credential})

    assert statuses == [200] + [401] * (AT_ONCE - 1)
    assert times_in_history(nodes, name, "passkey_suspect") == 0


def enrolments_with_one_challenge(nodes, name):
    """A member of staff, who must have a factor, gets one app or one passkey."""
    confirmed(nodes, name)
    sql(nodes[0], "UPDATE accounts_user SET is_staff = TRUE WHERE username = ?", name)
    here = browser_at(nodes[0], IP)
    first = get_tokens(name, here)["challenge"]
    call("token/challenge/", {"challenge": first, "method": "email"}, client=here)
    mail = nodes[0].wait_for_mail(to=f"{name}@", subject="to finish signing in")
    challenge = {"challenge": second_step(first, code_in(mail), here)["challenge"]}
    setup = call("token/enrolment/setup/", challenge, client=here)
    app = {"setup": setup["totp"]["setup"], "code": code_of_secret(setup["totp"]["secret"])}
    passkey = Passkey().create(setup["passkey"], origin=here.origin)
    factors = [app, {"credential": json.loads(passkey)}]
    there = [browser_at(node, IP) for node in nodes]

    answers = together(
        AT_ONCE,
        lambda i: call("token/enrolment/", challenge | factors[i // 4], client=there[i % 2]),
    )

    assert sorted(answer.status for answer in answers) == [200] + [401] * (AT_ONCE - 1)
    (made,) = [answer["access"] for answer in answers if answer.status == 200]
    held = call("factors/", token=made, client=here)
    assert len(held["authenticators"]) + len(held["passkeys"]) == 1


def calls_with_a_password(nodes, name):
    """All are answered, and the history has one sign-in of the day and network."""
    confirmed(nodes, name)

    assert {*at_once(nodes, "me/", None, basic=f"{name}:{PASSWORD}")} in ({200}, {200, BUSY})
    kinds = ("client_signed_in", "client_signed_in_new")
    assert sum(times_in_history(nodes, name, kind) for kind in kinds) == 1


def changes_of_the_password_in_eight_sessions(nodes, name):
    """The first change ends the other sessions, so that theirs come too late."""
    confirmed(nodes, name)
    there = [browser_at(nodes[i % 2], IP) for i in range(AT_ONCE)]
    tokens = [get_tokens(name, program)["access"] for program in there]

    answers = together(
        AT_ONCE,
        lambda i: call(
            "password/change/", {"password": f"{NEW} {i}"}, token=tokens[i], client=there[i]
        ),
    )

    assert sorted(answer.status for answer in answers)[0] == 204
    assert [answer.status for answer in answers].count(204) == 1
    assert times_in_history(nodes, name, "password_changed") == 1
    assert live_sessions(nodes, name) == 1


def answers_to(nodes, path, body, key, token=None):
    """Return the answers to equal calls at once that have one ``Idempotency-Key``."""
    callers = [browser_at(nodes[i % 2], f"192.0.2.{i + 10}") for i in range(AT_ONCE)]
    more = {"authorization": token and f"Bearer {token}", "Idempotency_Key": f"{key}-in-a-program"}
    url = f"{api_jwt.API}{path}"
    answers = together(AT_ONCE, lambda i: api_jwt.call(callers[i], url, body, **more))
    assert {answer.status for answer in answers} == {201}
    assert len({answer["id"] for answer in answers}) == 1
    return answers


def repeated_calls_for_an_api_key(nodes, name):
    """One creates the key and shows it; the others return the same key without its secret."""
    confirmed(nodes, name)
    token = recent_token(nodes[0].client(), name)

    answers = answers_to(nodes, "keys/", {"name": "bot"}, name, token)

    assert [answer["key"] is None for answer in answers].count(False) == 1


def repeated_sign_ups(nodes, name):
    """All are told that they have signed up, and none that the name is taken."""
    body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}

    answers_to(nodes, "users/", body, name)

    select = "SELECT id FROM accounts_pendingsignup WHERE username = ?"
    assert len(sql(nodes[0], select, name)) == 1


RACES = [
    sign_ins_with_one_emailed_code,
    resets_with_one_emailed_code,
    changes_of_one_profile_as_it_was_read,
    confirmations_of_one_added_email,
    additions_of_one_authenticator_app,
    reauthentications_with_one_recovery_code,
    calls_with_one_response_of_a_passkey,
    enrolments_with_one_challenge,
    calls_with_a_password,
    changes_of_the_password_in_eight_sessions,
    repeated_calls_for_an_api_key,
    repeated_sign_ups,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_of_equal_calls_at_two_processes_one_acts(nodes, race):
    """Withstands a race."""
    race(nodes, f"racer{RACES.index(race)}")

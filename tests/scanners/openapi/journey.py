"""What a person does, with a client made by openapi-python-client.

Arguments: ORIGIN STEP NAME and the arguments of the step.
"""

import importlib
import pkgutil
import sys

import client
from client.api.email import verify_email
from client.api.factors import add_authenticator_app, set_up_authenticator_app
from client.api.me import get_me
from client.api.password import request_password_reset, reset_password
from client.api.sessions import list_sessions, revoke_session
from client.api.token import complete_sign_in, renew_token, revoke_token, sign_in
from client.api.users import sign_up
from client.client import AuthenticatedClient, Client
from client.models import (
    Added,
    Error,
    ErrorCode,
    MailedChallenge,
    NamedLoginRequest,
    NewAuthenticatorRequest,
    NewPasswordByResetRequest,
    NewUserRequest,
    PaginatedLoginSessionList,
    Person,
    RefreshRequest,
    ResetUser,
    RevokeRequest,
    SecondStepRequest,
    Setup,
    SignInError,
    SignInErrorMethodsItem,
    SignInRequest,
    Signup,
    Tokens,
    VerifyRequest,
)

for module in pkgutil.walk_packages(client.__path__, "client."):
    importlib.import_module(module.name)

origin, step, name, *given = sys.argv[1:]
api = Client(origin)


def expect(kind, answer):
    """Return the answer of a call, which must be of this kind."""
    assert isinstance(answer, kind), answer
    return answer


def with_code(password, code):
    """Sign in with both steps, and return the tokens and the client of the person."""
    first = sign_in.sync(client=api, body=SignInRequest(username=name, password=password))
    assert expect(SignInError, first).code is ErrorCode.SECOND_FACTOR_REQUIRED
    assert SignInErrorMethodsItem.TOTP in first.methods
    second = SecondStepRequest(first.challenge, code)
    tokens = expect(Tokens, complete_sign_in.sync(client=api, body=second))
    return tokens, AuthenticatedClient(origin, tokens.access)


def end_sessions(password, code):
    """End every other session, sign out, and return how many sessions there were."""
    tokens, mine = with_code(password, code)
    renewed = expect(Tokens, renew_token.sync(client=api, body=RefreshRequest(tokens.refresh)))
    listed = expect(PaginatedLoginSessionList, list_sessions.sync(client=mine)).results
    for other in listed:
        if not other.is_current:
            assert revoke_session.sync_detailed(other.id, client=mine).status_code == 204
    assert len(list_sessions.sync(client=mine).results) == 1
    revoke_token.sync_detailed(client=api, body=RevokeRequest(renewed.refresh))
    assert expect(Error, get_me.sync(client=mine)).code is ErrorCode.TOKEN_NOT_VALID
    return len(listed)


if step == "sign-up":
    body = NewUserRequest(name, f"{name}@example.org", given[0])
    done = expect(Signup, sign_up.sync(client=api, body=body)).username
elif step == "verify":
    body = VerifyRequest(f"{name}@example.org", given[0])
    done = expect(Signup, verify_email.sync(client=api, body=body)).username
elif step == "set-up":
    body = SignInRequest(username=name, password=given[0])
    tokens = expect(Tokens, sign_in.sync(client=api, body=body))
    mine = AuthenticatedClient(origin, tokens.access)
    made = expect(Setup, set_up_authenticator_app.sync(client=mine))
    done = f"{tokens.access} {made.setup} {made.secret}"
elif step == "enrol":
    mine, body = (
        AuthenticatedClient(origin, given[0]),
        NewAuthenticatorRequest(setup=given[1], code=given[2]),
    )
    added = expect(Added, add_authenticator_app.sync(client=mine, body=body))
    done = " ".join(added.recovery_codes)
elif step == "sign-in":
    done = expect(Person, get_me.sync(client=with_code(*given)[1])).username
elif step == "end-sessions":
    done = end_sessions(*given)
elif step == "ask-reset":
    asked = request_password_reset.sync(client=api, body=NamedLoginRequest(username=name))
    done = expect(MailedChallenge, asked).challenge
else:
    body = NewPasswordByResetRequest(
        given[2], challenge=given[0], code=given[1], factor_code=given[3]
    )
    done = expect(ResetUser, reset_password.sync(client=api, body=body)).username
sys.stdout.write(str(done))

"""Sign up and sign in with a client made by openapi-python-client.

Arguments: ORIGIN STEP NAME and the arguments of the step.
"""

import sys

from client.api.email import verify_email
from client.api.me import get_me
from client.api.token import complete_sign_in, sign_in
from client.api.users import sign_up
from client.client import AuthenticatedClient, Client
from client.models import (
    ErrorCode,
    NewUserRequest,
    Person,
    SecondStepRequest,
    SignInError,
    SignInErrorMethodsItem,
    SignInRequest,
    Signup,
    Tokens,
    VerifyRequest,
)

origin, step, name, *given = sys.argv[1:]
api = Client(origin)
if step == "sign-up":
    body = NewUserRequest(name, f"{name}@example.org", given[0])
    done = sign_up.sync(client=api, body=body)
    assert isinstance(done, Signup), done
elif step == "verify":
    done = verify_email.sync(client=api, body=VerifyRequest(f"{name}@example.org", given[0]))
    assert isinstance(done, Signup), done
else:
    first = sign_in.sync(client=api, body=SignInRequest(username=name, password=given[0]))
    assert isinstance(first, SignInError), first
    assert first.code is ErrorCode.SECOND_FACTOR_REQUIRED
    assert SignInErrorMethodsItem.TOTP in first.methods
    second = SecondStepRequest(first.challenge, given[1])
    tokens = complete_sign_in.sync(client=api, body=second)
    assert isinstance(tokens, Tokens), tokens
    done = get_me.sync(client=AuthenticatedClient(origin, tokens.access))
    assert isinstance(done, Person), done
sys.stdout.write(done.username)

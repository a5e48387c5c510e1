"""Steps that the tests of signing in over the API share."""

from accounts.sessions.models import LoginSession
from tests.support.api import Answer, call, get_tokens
from tests.support.disputes import NEW
from tests.support.second_steps import with_factor
from tests.support.steps import outbox

# In the subject of a mail with a code for the second step.
FINISH = "to finish signing in"


def first_step(name: str = "alice", methods: set[str] | None = None) -> str:
    """Sign in with the password and return the challenge for the second step."""
    answer = get_tokens(name)
    assert answer.short == (401, "second_factor_required")
    assert methods is None or set(answer["methods"]) == methods
    return str(answer["challenge"])


def first_step_of_alice() -> tuple[str, str]:
    """Create alice with an authenticator app; return her challenge and the seed."""
    _alice, seed = with_factor()
    return first_step(), seed


def mail_for(challenge: str) -> Answer:
    return call("token/challenge/", {"challenge": challenge, "method": "email"})


def mailed_proof(path: str, **login: str) -> dict[str, str]:
    """Request a code at ``path``, by default for alice; return it with its challenge."""
    asked = call(path, login or {"username": "alice"})
    assert asked.status == 202
    return {"challenge": str(asked["challenge"]), "code": outbox()[-1].code}


def reset(**proof: str) -> Answer:
    """Reset the password, by default to ``NEW``."""
    return call("password/reset/confirm/", {"password": NEW, **proof})


def api_sessions() -> int:
    return LoginSession.objects.filter(kind="api").count()

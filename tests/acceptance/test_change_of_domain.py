"""What a change of ORIGIN means for tokens and links, as `docs/operating.md` describes it."""

from accounts.common.pages import absolute
from tests.support.api import claims_of, get_tokens, is_good, renew
from tests.support.signin import set_up
from tests.support.steps import make_user

MOVED = "http://accounts.example.org"


def test_after_a_change_of_origin_refresh_tokens_work_and_older_access_tokens_do_not(settings):
    make_user("alice")
    before = get_tokens()
    set_up(settings, origin=MOVED)
    settings.ALLOWED_HOSTS = ["*"]

    assert not is_good(before["access"])
    after = renew(before["refresh"])
    assert is_good(after["access"])
    claims = claims_of(after["access"])
    assert (claims["iss"], claims["aud"]) == (MOVED, MOVED)
    assert absolute("help") == f"{MOVED}/help/"

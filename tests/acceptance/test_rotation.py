"""SECRET_KEY and ENCRYPTION_KEYS are rotated on a running site, as ``docs/operating.md`` says."""

from accounts.common import secrets
from tests.support.api import claims_of, get_tokens, is_good, renew, second_step
from tests.support.process import LATER_SECONDS, free_port, within
from tests.support.second_factor import CHALLENGE, SETUP, code_of, seed_on
from tests.support.site import Site
from tests.support.smtp import FORWARD
from tests.support.standards import proves
from tests.support.steps import CODE, code_in, join, same_browser, sign_in, sql

OLD, NEW = secrets.token(48), secrets.token(48)
OLD_SEAL, NEW_SEAL = secrets.encryption_key(), secrets.encryption_key()


def keys(secret, fallback, seals):
    return {"SECRET_KEY": secret, "SECRET_KEY_FALLBACKS": fallback, "ENCRYPTION_KEYS": seals}


# The steps of the docs: old values only, new ones accepted, new ones in use, old ones dropped.
BEFORE = keys(OLD, "", OLD_SEAL)
KNOWN = keys(OLD, NEW, f"{OLD_SEAL} {NEW_SEAL}")
USED = keys(NEW, OLD, f"{NEW_SEAL} {OLD_SEAL}")
DROPPED = keys(NEW, "", NEW_SEAL)


def restarted(site, **env):
    site.stop()
    site.env |= env
    return site.start()


def signed_up(site, name):
    browser = site.client()
    join(site, browser, name)
    return browser


def second(site, code):
    """Return alice's tokens from a sign-in with a code of her app."""
    challenge = get_tokens("alice", site.client())["challenge"]
    tokens: dict[str, str] = second_step(challenge, code, site.client()).body
    return tokens


@proves("V11.2.2")
def test_keys_are_rotated_without_losing_sessions_or_queued_mail():
    """Withstands an operator's mistake."""
    nowhere = f"smtp+plain://127.0.0.1:{free_port()}"
    with Site(**BEFORE) as site:
        alice = signed_up(site, "alice")
        seed = seed_on(alice.get(SETUP).text)
        alice.post(SETUP, {"code": code_of(seed, -1)})
        signed_up(site, "bob")
        tokens, unused = second(site, code_of(seed)), get_tokens("bob", site.client())
        assert within(LATER_SECONDS, lambda: not sql(site, "SELECT 1 FROM accounts_outgoingmail"))
        restarted(site, EMAIL_URL=nowhere)
        waiting = site.client()
        waiting.post(CODE, {"login": "bob"})
        tried = "SELECT attempts FROM accounts_outgoingmail WHERE attempts > 0"
        assert within(LATER_SECONDS, lambda: sql(site, tried))

        restarted(site, **KNOWN)
        with site.second(**USED) as other:
            for node in (other, site):
                assert same_browser(node, alice).get("/").status == 200
                assert is_good(tokens["access"], node.client())
            families = {claims_of(tokens["access"])["sid"]}
            for node in (other, site, other):
                renewed = renew(tokens["refresh"], node.client())
                tokens = renewed.body
                families.add(claims_of(tokens["access"])["sid"])
                assert is_good(tokens["access"], site.client())
            assert len(families) == 1
            told = other.manage("reencrypt")
        assert told == (
            "0 exports, 1 mails, 1 seeds, 1 recovery codes, 1 signing keys, 0 webhook secrets, "
            "0 former webhook secrets, 0 former factors, 0 hashes\n"
        )

        restarted(site, **DROPPED, EMAIL_URL="")
        # The seed, the signing key and the mail were reencrypted, and renewed tokens stay valid.
        assert is_good(tokens["access"], site.client())
        assert renew(tokens["refresh"], site.client()).status == 200
        browser = site.client()
        assert sign_in(browser, "alice").location == CHALLENGE
        assert browser.post(CHALLENGE, {"code": code_of(seed, 1)}).location == "/"
        sql(site, FORWARD)
        late = code_in(site.wait_for_mail(to="bob@", subject="code", count=2))
        # A code and a refresh token that depend on the old values only are refused.
        assert waiting.post(CODE, {"code": late}).status == 200
        assert renew(unused["refresh"], site.client()).code == "token_not_valid"
        assert same_browser(site, alice).get("/").status == 200
        assert "can't be decrypted" not in site.log()

"""The limits, in one table: how many at once, and how fast they come back."""

from dataclasses import dataclass, replace
from functools import cache

from django.conf import settings


@dataclass(frozen=True)
class Limit:
    """``burst`` acts at once; one more every ``refill`` seconds. Nothing locks for good.

    Of a budget that is shared with strangers a refusal names the interval and never what is left:
    that would tell what others do.
    """

    name: str
    burst: int
    refill: float
    is_shared: bool = False

    @property
    def interval_ms(self) -> int:
        """Milliseconds that one act costs, after ``LIMITS_SCALE``."""
        return max(1, round(self.refill * 1000 / settings.AUTHSITE.limits_scale))

    @property
    def depth_ms(self) -> int:
        """Milliseconds that may be owed at once."""
        return max(1, round(self.burst * settings.AUTHSITE.limits_scale)) * self.interval_ms

    def times(self, weight: int) -> "Limit":
        """Return the limit of a wider network: so many times as many, so many times as fast."""
        return _widened(self, weight)


@cache
def _widened(limit: Limit, weight: int) -> Limit:
    return replace(limit, burst=limit.burst * weight, refill=limit.refill / weight)


# Sign-in: per network, per account from places it doesn't know, per account and place it
# knows, and for everyone together (NIST SP 800-63B section 5.2.2; ASVS 6.3.1).
LOGIN_NETWORK = Limit("login.network", burst=60, refill=2)
LOGIN_ACCOUNT = Limit("login.account", burst=5, refill=60)
LOGIN_FAMILIAR = Limit("login.familiar", burst=5, refill=60)
LOGIN_EVERYONE = Limit("login.everyone", burst=600, refill=0.1, is_shared=True)

# A proof asked for again: per login session, so that guesses from elsewhere don't use it up.
PROOF_SESSION = Limit("proof.session", burst=5, refill=60)

# The second step, per account: from places where it was never taken, and from each of the others.
# Whoever knows the password guesses a code of six digits at most 30 times, then once in 48 minutes;
# signing in again gives nothing back (CVE-2025-64102).
FACTOR_ACCOUNT = Limit("factor.account", burst=5, refill=60)
FACTOR_DAY = Limit("factor.day", burst=30, refill=48 * 60)
FACTOR_RECOVERY = Limit("factor.recovery", burst=3, refill=2 * 24 * 3600)

# Exchanges of access tokens in one session: each is a row of the history.
EXCHANGE_SESSION = Limit("exchange.session", burst=20, refill=10)

SIGNUP_NETWORK = Limit("signup.network", burst=30, refill=20)
SIGNUP_EVERYONE = Limit("signup.everyone", burst=600, refill=0.5, is_shared=True)

# A mailbox is not filled by strangers, and one waits a minute before asking for another mail.
MAIL_NETWORK = Limit("mail.network", burst=10, refill=360)
MAIL_ADDRESS = Limit("mail.address", burst=40, refill=120)
MAIL_AGAIN = Limit("mail.again", burst=1, refill=60)

CODE_NETWORK = Limit("code.network", burst=30, refill=10)

# Codes of a sign-up that come without saying whose: five at once to an address from one line, as
# many as a code is good for, and some more from everywhere together.
VERIFY_LINE = Limit("verify.line", burst=5, refill=180)
VERIFY_ADDRESS = Limit("verify.address", burst=40, refill=60)

# Links and codes asked for by whoever types a name or an address.
RECOVERY_NETWORK = Limit("recovery.network", burst=30, refill=20)
RECOVERY_EVERYONE = Limit("recovery.everyone", burst=600, refill=0.5, is_shared=True)

# Addresses that one person asks to add, whose mailboxes are others'.
ADDRESS_USER = Limit("address.user", burst=10, refill=600)

# The meter of a new password asks at each pause in typing. Measuring the worst passwords takes a
# quarter of a second and holds the interpreter.
STRENGTH_NETWORK = Limit("strength.network", burst=12, refill=10)
STRENGTH_EVERYONE = Limit("strength.everyone", burst=100, refill=1, is_shared=True)

# People whom one member of staff reads over the API: nobody copies the whole site unseen.
STAFF_READ = Limit("staff.read", burst=60, refill=10)

# Changes of one person's profile, by themselves and by each of their API keys; API keys that one
# person makes. Each is a row of the history, and each key a mail.
PROFILE_CHANGE = Limit("profile.change", burst=30, refill=60)
KEY_NEW = Limit("key.new", burst=60, refill=120)

# A name that is given up stays held for a while: nobody collects them.
RENAME = Limit("rename", burst=1, refill=24 * 3600)
RENAME_TRY = Limit("rename.try", burst=10, refill=600)

"""The rate limits of the site. The table in ``docs/operating.md`` is generated from this module.

In this module, a *network* is one IPv4 address or one IPv6 /64. The wider networks that contain it
have separate budgets, which are a few times as large (``throttle.services.around``). A *line* is
the connection of one customer of an internet provider. It may have many IP addresses, so it stands
for an IPv4 /24 or an IPv6 /48 (``ClientInfo.wide_network``).
"""

from dataclasses import dataclass, replace
from functools import cache

from django.conf import settings


@dataclass(frozen=True)
class Limit:
    """A rate limit.

    Attributes:
        name: the name of the limit in metrics and in the keys of budgets.
        burst: the number of actions that a full budget allows immediately.
        refill: the seconds after which a budget allows one more action.
        means: what is counted, for the documentation.
        is_shared: whether many people share one budget. A refusal then reports the refill interval
            as the waiting time, because the real waiting time would reveal what others do.
    """

    name: str
    burst: int
    refill: float
    means: str = ""
    is_shared: bool = False

    @property
    def interval_ms(self) -> int:
        """The milliseconds until a budget allows one more action, divided by ``LIMITS_SCALE``."""
        return self.sizes_ms[0]

    @property
    def depth_ms(self) -> int:
        """The milliseconds after which a used-up budget is full again."""
        return self.sizes_ms[1]

    @property
    def sizes_ms(self) -> tuple[int, int]:
        """Both: ``interval_ms`` and ``depth_ms``."""
        return _sizes_ms(self.burst, self.refill, settings.AUTHSITE.limits_scale)

    def times(self, weight: int) -> "Limit":
        """Return the limit for a wider network, which allows ``weight`` times as many actions."""
        return _widened(self, weight)


@cache
def _sizes_ms(burst: int, refill: float, scale: float) -> tuple[int, int]:
    interval = max(1, round(refill * 1000 / scale))
    return interval, max(1, round(burst * scale)) * interval


@cache
def _widened(limit: Limit, weight: int) -> Limit:
    return replace(limit, burst=limit.burst * weight, refill=limit.refill / weight)


MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

# Sign-in by password (NIST SP 800-63B section 5.2.2; ASVS 6.3.1). A successful sign-in gives back
# the budgets that it spent, except LOGIN_REPEAT. See docs/decisions/0019-rate-limits-by-network.md.
LOGIN_NETWORK = Limit("login.network", 60, 2, "wrong passwords from a network")
LOGIN_LINE = Limit(
    "login.line", 5, MINUTE, "wrong passwords for a username or email from a /24 or /48"
)
LOGIN_NAME = Limit(
    "login.name", 20, 20, "wrong passwords for a username or email from anywhere", True
)
LOGIN_ACCOUNT_LINE = Limit(
    "login.account.line", 5, MINUTE, "password checks for an account from a /24 or /48"
)
LOGIN_ACCOUNT = Limit("login.account", 20, 20, "password checks for an account from anywhere", True)
LOGIN_BROWSER = Limit(
    "login.browser", 5, MINUTE, "wrong passwords for an account in a browser that knows it"
)
LOGIN_REPEAT = Limit(
    "login.repeat",
    60,
    2,
    "sign-ins with a username or email from a network, successful ones included",
)
LOGIN_EVERYONE = Limit("login.everyone", 600, 0.1, "wrong passwords on the whole site", True)

# Passkeys cannot be guessed. These limits only bound the work of checking passkeys.
PASSKEY_NETWORK = Limit("passkey.network", 60, 2, "refused passkeys from a network")
PASSKEY_BROWSER = Limit(
    "passkey.browser", 60, 2, "refused passkeys for an account in a browser that knows it"
)

# Secrets and signatures of apps cannot be guessed. Right ones are accepted even when
# these limits are reached.
CLIENT_NETWORK = Limit(
    "client.network",
    60,
    2,
    "wrong secrets, signatures or registration tokens of apps from a network",
)
CLIENT_LINE = Limit("client.line", 20, 6, "wrong secrets or signatures of an app from a /24 or /48")

PROVIDER_NETWORK = Limit(
    "provider.network", 60, 2, "sign-ins with a provider started from a network or in a session"
)

# Authorization requests of apps are stored for up to an hour, with up to 20 KB each.
AUTHORIZE_NETWORK = Limit(
    "authorize.network", 120, 5, "sign-ins to apps that a network begins and does not finish"
)
# Each sign-in adds a session, and its end can add an event to the account's history.
AUTHORIZE_SESSION = Limit("authorize.session", 60, 10, "sign-ins to apps in a session")
AUTHORIZE_CLIENT = Limit("authorize.client", 600, 0.1, "requests that an app pushes")

# Each one is a request to another server, and can add an app.
METADATA_PERSON = Limit("metadata.person", 10, MINUTE, "metadata documents read for a person")
METADATA_NETWORK = Limit("metadata.network", 60, 10, "metadata documents read for a network")

# Codes that devices show have eight letters: 26 thousand million possible codes.
USER_CODE_PERSON = Limit(
    "user_code.person", 5, 2 * MINUTE, "wrong codes of devices that a person types in"
)
USER_CODE_NETWORK = Limit("user_code.network", 20, MINUTE, "wrong codes of devices from a network")

# Each session has its own budget for reauthentication, which guesses in other sessions do not use.
PROOF_SESSION = Limit(
    "proof.session",
    5,
    MINUTE,
    "failed reauthentications in a session, or failed proofs on a recovery link",
)

# Six-digit codes. An attacker who knows the password has 30 guesses, and then one guess every 48
# minutes. Another sign-in does not refill these budgets (CVE-2025-64102).
FACTOR_BROWSER = Limit(
    "factor.browser",
    *(5, MINUTE),
    "wrong six-digit codes for an account in a browser where a factor was shown",
)
FACTOR_BROWSER_DAY = Limit(
    "factor.browser.day",
    *(30, 48 * MINUTE),
    "wrong six-digit codes in such a browser over several days",
)
FACTOR_LINE = Limit(
    "factor.line", 5, MINUTE, "wrong six-digit codes for an account from a /24 or /48"
)
FACTOR_LINE_DAY = Limit(
    "factor.line.day",
    12,
    144 * MINUTE,
    "wrong six-digit codes for an account from a /24 or /48 over several days",
)
FACTOR_ACCOUNT = Limit(
    "factor.account", 30, 48 * MINUTE, "wrong six-digit codes for an account from anywhere", True
)
FACTOR_RECOVERY = Limit("factor.recovery", 3, 2 * DAY, "requests to recover an account by waiting")

# Each exchange of an access token adds an event to the account's history.
EXCHANGE_SESSION = Limit("exchange.session", 20, 10, "access tokens exchanged in a session")

SIGNUP_NETWORK = Limit("signup.network", 30, 20, "sign-ups from a network")
SIGNUP_EVERYONE = Limit("signup.everyone", 600, 0.5, "sign-ups on the whole site", True)

# Emails that anybody can request. When the code or link in an email is used, ``mails.refund`` gives
# back the MAIL_LINE, MAIL_BOX_LINE and MAIL_BOX budgets.
RECOVERY_NETWORK = Limit(
    "recovery.network",
    30,
    20,
    "reset links, sign-in codes and confirmations requested from a network",
)
RECOVERY_EVERYONE = Limit(
    "recovery.everyone", 600, 0.5, "reset links and sign-in codes requested on the whole site", True
)
MAIL_AGAIN = Limit("mail.again", 1, MINUTE, "emails of one kind to one person")
MAIL_LINE = Limit("mail.line", 2, DAY, "emails requested for a username or email from a /24 or /48")
MAIL_BOX_LINE = Limit("mail.box.line", 2, DAY, "emails to a mailbox that a /24 or /48 causes")
MAIL_BOX = Limit("mail.box", 4, 8 * HOUR, "emails to a mailbox that strangers cause", True)
MAIL_BROWSER = Limit(
    "mail.browser", 5, 15 * MINUTE, "emails requested in a browser that knows the account"
)
# Only people who know the password can request these codes.
MAIL_SECOND_LINE = Limit(
    "mail.second.line",
    10,
    6 * MINUTE,
    "emailed second-factor codes for an account from a /24 or /48",
)
MAIL_SECOND = Limit(
    "mail.second", 40, 2 * MINUTE, "emailed second-factor codes for an account from anywhere", True
)

CODE_NETWORK = Limit("code.network", 30, 10, "wrong emailed codes or recovery codes from a network")
CODE_BROWSER = Limit(
    "code.browser",
    30,
    10,
    "wrong emailed codes or recovery codes in a browser that knows the account",
)

# Adding an email address sends an email to a mailbox that may be another person's.
ADDRESS_USER = Limit("address.user", 10, 10 * MINUTE, "email addresses that a person asks to add")

# The strength meter sends a request at each pause in typing. Measuring some passwords blocks the
# interpreter for a quarter of a second.
STRENGTH_NETWORK = Limit("strength.network", 12, 10, "password strength checks from a network")
STRENGTH_EVERYONE = Limit(
    "strength.everyone", 100, 1, "password strength checks on the whole site", True
)

# Prevents a member of staff from reading all accounts over the API without being noticed.
STAFF_READ = Limit("staff.read", 60, 10, "accounts that staff read over the API or for a reason")

STAFF_INVITE = Limit("staff.invite", 60, MINUTE, "invitations that a member of staff sends")
STAFF_ACT = Limit("staff.act", 60, 10, "acts of a member of staff on other accounts")
# Otherwise a member of staff could guess at a password or code without limit and without an email.
STAFF_CLEAR = Limit(
    "staff.clear", 3, 30 * MINUTE, "times that staff reset the limits of an account"
)
STAFF_BULK = Limit("staff.bulk", 10, 10 * MINUTE, "bulk acts that a member of staff prepares")

# Each change adds an event to the account's history, and each new key also sends an email.
PROFILE_CHANGE = Limit(
    "profile.change",
    30,
    MINUTE,
    "profile changes by a person, and by each of their API keys and apps",
)
KEY_NEW = Limit("key.new", 60, 2 * MINUTE, "API keys that a person creates")

# A former username stays reserved for some time, so a person could collect names by many renames.
RENAME = Limit("rename", 1, DAY, "username changes by a person")
RENAME_TRY = Limit("rename.try", 10, 10 * MINUTE, "usernames that a person tries")

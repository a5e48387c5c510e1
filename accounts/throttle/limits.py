"""The rate limits of the site, one on a line. The table in ``docs/operating.md`` is made from them.

In this module, a *network* is one IPv4 address or one IPv6 /64. The wider networks that contain it
have separate budgets, which are a few times as large (``throttle.services.around``). A *line* is
the connection of one customer of an internet provider. It may have many IP addresses, so it stands
for an IPv4 /24 or an IPv6 /48 (``ClientInfo.wide_network``). A *login* is a username or email.
The names of the limits call a line SUBSCRIBER.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


@dataclass(frozen=True)
class Limit:
    """A rate limit.

    Attributes:
        name: the name of the limit in metrics and in the keys of budgets.
        counts: what is counted, for the documentation.
        burst: the number of actions that a full budget allows immediately.
        per: the seconds after which a budget allows one more action.
        is_shared: whether many people share one budget. A refusal then reports ``per`` as the
            waiting time, because the real waiting time would reveal what others do.
        is_own: whether only the person who makes a call, or the session of the call, uses the
            budget. Its answer then says what is left.
    """

    name: str
    counts: str
    burst: int
    per: float
    is_shared: bool = False
    is_own: bool = False

    def of(self, *subject: object) -> "Budget":
        """Return the budget of ``subject``, such as a network or an account."""
        # A digest, because people type passwords into the username field.
        key = hashlib.sha256("\0".join(map(str, (self.name, *subject))).encode()).hexdigest()
        return Budget(key, *_sizes_ms(self, settings.AUTHSITE.limits_scale), self)

    def times(self, weight: int) -> "Limit":
        """Return the limit for a wider network, which allows ``weight`` times as many actions."""
        return _widened(self, weight)


class Budget(NamedTuple):
    """The budget of a limit for one subject.

    Attributes:
        key: identifies the limit and the subject.
        cost: the cost of one action in milliseconds: the time after which one more is allowed.
        depth: the size of the full budget in milliseconds.
        limit: the limit.
    """

    key: str
    cost: int
    depth: int
    limit: Limit


@cache
def _sizes_ms(limit: Limit, scale: float) -> tuple[int, int]:
    cost = max(1, round(limit.per * 1000 / scale))
    return cost, max(1, round(limit.burst * scale)) * cost


@cache
def _widened(limit: Limit, weight: int) -> Limit:
    return replace(limit, burst=limit.burst * weight, per=limit.per / weight)


class Kind(StrEnum):
    """The kinds of attempts. Staff reset all limits of a kind together."""

    PASSWORDS = "passwords"
    CODES = "codes"
    MAILS = "mails"


WORDS: dict[str, str | Promise] = {
    Kind.PASSWORDS: gettext_lazy("Wrong passwords"),
    Kind.CODES: gettext_lazy("Wrong codes"),
    Kind.MAILS: gettext_lazy("Emails with codes and links"),
}

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

# In the texts, a semicolon separates actions with separate budgets. A *known browser* was used to
# sign in to the account; in a *proved browser*, a second factor of the account was shown.
# fmt: off

# Sign-in by password (NIST SP 800-63B section 5.2.2; ASVS 6.3.1). A successful sign-in gives back
# the budgets that it spent, except LOGIN_REPEAT, which limits how many hashes one client causes.
# LOGIN_SUBSCRIBER and LOGIN_NAME count an account apart from each of its logins: whoever changes between
# the logins gets no further guesses. See docs/decisions/0019-rate-limits-by-network.md.
LOGIN_NETWORK = Limit("login.network", "wrong passwords from a network", burst=60, per=2)
LOGIN_SUBSCRIBER = Limit("login.line", "wrong passwords for a login; for an account: from a line or in a known browser", burst=5, per=MINUTE)
LOGIN_NAME = Limit("login.name", "wrong passwords for a login; for an account: from anywhere", burst=20, per=20, is_shared=True)
LOGIN_REPEAT = Limit("login.repeat", "sign-ins with a login from a network, successful ones included; new passwords in a session, or by a link or code", burst=60, per=2)
LOGIN_EVERYONE = Limit("login.everyone", "wrong passwords on the whole site", burst=600, per=0.1, is_shared=True)

# Nobody can guess these secrets and signatures. The limits only bound the work of checking them,
# and right secrets of apps are accepted even when the limits are reached.
UNGUESSABLE = Limit("unguessable", "refused passkeys; wrong secrets of apps; sign-ins with providers: from a network", burst=60, per=2)
CLIENT_SUBSCRIBER = Limit("client.line", "wrong secrets or signatures of an app from a line", burst=20, per=6)

# Against a full disk: requests of apps are stored for up to an hour, with up to 20 KB each.
AUTHORIZE_NETWORK = Limit("authorize.network", "sign-ins to apps that other browsers or devices in a network begin and do not finish", burst=120, per=5)
AUTHORIZE_CLIENT = Limit("authorize.client", "requests that an app pushes", burst=600, per=0.1)
# Each sign-in adds a session, and its end can add an event to the account's history.
AUTHORIZE_SESSION = Limit("authorize.session", "sign-ins to apps in a session; those that a session or a known browser begins", burst=60, per=10)

# Each one is a request to another server, and can add an app.
METADATA_PERSON = Limit("metadata.person", "metadata documents read for a person", burst=10, per=MINUTE)
METADATA_NETWORK = Limit("metadata.network", "metadata documents read for a network", burst=60, per=10)

# Codes that devices show have eight letters: 26 thousand million possible codes.
USER_CODE_PERSON = Limit("user_code.person", "wrong codes of devices that a person types in", burst=5, per=2 * MINUTE)
USER_CODE_NETWORK = Limit("user_code.network", "wrong codes of devices from a network", burst=20, per=MINUTE)

# Each session has its own budget for reauthentication, which guesses in other sessions do not use.
REAUTHENTICATION = Limit("proof.session", "failed reauthentications in a session", burst=5, per=MINUTE)

# Six-digit codes. An attacker who knows the password has 30 guesses, and then one guess every 48
# minutes. Another sign-in does not refill these budgets (CVE-2025-64102). A reset has no budget of
# its own: that would double the guesses of a thief with the password and the mailbox. While others
# guess, the owner can use a recovery code, a passkey or a browser in which a factor was shown.
FACTOR_SUBSCRIBER = Limit("factor.line", "wrong six-digit codes for an account from a line or in a proved browser", burst=5, per=MINUTE)
FACTOR_SUBSCRIBER_DAY = Limit("factor.line.day", "the same from a line, over several days", burst=12, per=144 * MINUTE)
FACTOR_ACCOUNT = Limit("factor.account", "wrong six-digit codes for an account from anywhere; in a proved browser, over several days", burst=30, per=48 * MINUTE, is_shared=True)
# Over all links and pages. The sign-in page accepts the same password, with its own limits.
FORMER_PASSWORD = Limit("former.password", "guesses at the password that counts for a recovery", burst=5, per=288 * MINUTE)

# Each exchange of an access token adds an event to the account's history.
EXCHANGE_SESSION = Limit("exchange.session", "access tokens exchanged in a session", burst=20, per=10, is_own=True)

# What anybody can request: a sign-up stores a row and costs a hash, the others send an email.
# Sign-ups have budgets of their own, so that a flood of them stops nobody's password reset.
REQUEST_NETWORK = Limit("request.network", "sign-ups; requested emails: from a network", burst=30, per=20)
REQUEST_EVERYONE = Limit("request.everyone", "sign-ups; requested emails: on the whole site", burst=600, per=0.5, is_shared=True)

# Against floods of a mailbox. When the code or link in an email is used, the email is given back to
# the budgets of MAIL_SUBSCRIBER, MAIL_BOX and MAIL_MEMBERS.
MAIL_AGAIN = Limit("mail.again", "emails of one kind to one person", burst=1, per=MINUTE)
MAIL_SUBSCRIBER = Limit("mail.line", "emails requested for a login; emails to a mailbox: from a line; to a mailbox that a signed-in person adds", burst=2, per=DAY)
MAIL_BOX = Limit("mail.box", "emails to a mailbox that strangers cause; requests of owners to delete their accounts", burst=4, per=8 * HOUR, is_shared=True)
# Strangers do not use it up, so they cannot keep signed-in people from confirming an address.
MAIL_MEMBERS = Limit("mail.members", "emails to a mailbox that signed-in people cause by adding its address", burst=20, per=HOUR, is_shared=True)
MAIL_BROWSER = Limit("mail.browser", "emails requested in a known browser", burst=5, per=15 * MINUTE)
# Only people who know the password can request these codes.
MAIL_SECOND_SUBSCRIBER = Limit("mail.second.line", "emailed second-factor codes for an account from a line", burst=10, per=6 * MINUTE)
MAIL_SECOND = Limit("mail.second", "emailed second-factor codes for an account from anywhere", burst=40, per=2 * MINUTE, is_shared=True)

# A code has five tries of its own. This limit stops guesses at the codes of many accounts.
CODE_GUESS = Limit("code.guess", "wrong emailed codes or recovery codes from a network or in a known browser", burst=30, per=10)

# The strength meter sends a request at each pause in typing. Measuring some passwords blocks the
# interpreter for a quarter of a second.
STRENGTH_NETWORK = Limit("strength.network", "password strength checks from a network", burst=12, per=10)
STRENGTH_EVERYONE = Limit("strength.everyone", "password strength checks on the whole site", burst=100, per=1, is_shared=True)

# Prevents a member of staff from reading or changing all accounts without being noticed. API keys
# that may use the staff API do 28 times as many acts: 10,000 in an hour. A directory sends 280 times
# as many requests by SCIM: 100,000 in an hour.
STAFF = Limit("staff", "accounts that a member of staff opens; acts on accounts", burst=60, per=10, is_own=True)
# Seven times as many for API keys that may use the staff API: at most 20,000 in an hour.
STAFF_READ = Limit("staff.read", "people shown to a member of staff, or chosen for a bulk act", burst=1000, per=2, is_own=True)
# 170 times as many for such API keys: 10,000 in an hour.
STAFF_INVITE = Limit("staff.invite", "invitations that a member of staff sends", burst=60, per=MINUTE, is_own=True)
# Otherwise a member of staff could guess at a password or code without limit and without an email.
STAFF_CLEAR = Limit("staff.clear", "times that staff reset the limits of an account", burst=3, per=30 * MINUTE)

# Each change adds an event to the account's history, and each new key also sends an email.
PROFILE_CHANGE = Limit("profile.change", "changes by a person of the profile, names of factors, recovery codes and the choice of emailed codes; profile changes by each of their apps", burst=30, per=MINUTE, is_own=True)
KEY_NEW = Limit("key.new", "API keys that a person creates", burst=60, per=2 * MINUTE, is_own=True)

# Shows whether a username is taken, and sends an email to a mailbox that may be another person's.
NAME_TRY = Limit("name.try", "email addresses that a person asks to add; usernames that a person tries", burst=10, per=10 * MINUTE, is_own=True)
# A former username stays reserved for some time, so a person could collect names by many renames.
RENAME = Limit("rename", "username changes by a person", burst=1, per=DAY, is_own=True)

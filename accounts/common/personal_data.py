"""The inventory of personal data: the reason for each column, and its export and deletion.

This module imports no models. Export and deletion read the inventory, and ``docs/data.md`` is
generated from it. A test fails if a column of an installed model is missing here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from accounts.common import secrets

# The purpose of the digests of email addresses in the outbox.
RECIPIENT = "recipient of an email"


@dataclass(frozen=True)
class Person:
    """The values that identify an account in tables without a foreign key to it.

    ``names``: the keys of its username and of the former usernames that are reserved for it.
    ``emails``: the keys of its confirmed email addresses; for deletion, also of removed ones.
    ``subjects``: its id, the ids of its unconfirmed email addresses, and the ids that apps know.
    """

    id: UUID
    names: frozenset[str]
    emails: frozenset[str]
    subjects: frozenset[UUID]

    @property
    def recipients(self) -> set[str]:
        """The digests of the account's email addresses in the outbox."""
        return {text for email in self.emails for text in secrets.digests(email, RECIPIENT)}


class Column(NamedTuple):
    """A column: why it is stored, and why it is not exported (empty if it is exported)."""

    purpose: str
    withheld: str = ""


# The reasons to leave a column out of an export: it is a credential; it repeats another column or
# has a meaning only for this site's code; it is about somebody other than the owner of the row.
SECRET = "secret"  # noqa: S105 a reason
secret = partial(Column, withheld=SECRET)
internal = partial(Column, withheld="internal")
others = partial(Column, withheld="about others")

# The path of foreign keys to the account, or a function that returns the condition for its rows.
type Rows = str | Callable[[Person], Q]


@dataclass(frozen=True)
class Table:
    """A table with personal data.

    ``label``: the label of the model, such as ``accounts.User``.
    ``purpose``, ``kept``: why the rows are stored, and how long.
    ``rows``: which rows belong to a person. If it is a path, every foreign key on the path
        cascades.
    ``remains``: what remains of the rows after deletion, and why; empty if nothing does.
    """

    label: str
    purpose: str
    kept: str
    rows: Rows
    columns: Mapping[str, Column]
    remains: str = ""

    @property
    def is_cascading(self) -> bool:
        """Whether the rows are deleted by cascade with the row of the account."""
        return isinstance(self.rows, str)

    @property
    def exported(self) -> list[str]:
        """The names of the columns that an export contains."""
        return [name for name, column in self.columns.items() if not column.withheld]

    def of(self, person: Person) -> Q:
        """Return the condition that a row belongs to ``person``."""
        return Q(**{self.rows: person.id}) if isinstance(self.rows, str) else self.rows(person)


TABLES: dict[str, Table] = {}
# Why the other tables contain no personal data, by label.
NOT_PERSONAL: dict[str, str] = {}


def describe(
    label: str,
    rows: Rows,
    columns: Mapping[str, str | Column],
    *,
    purpose: str,
    kept: str,
    remains: str = "",
) -> None:
    """Add a table with personal data to the inventory: see :class:`Table`.

    ``columns``: the names of columns, separated by spaces, with their purpose. A column given as
        text is exported.
    """
    found = {
        name: Column(column) if isinstance(column, str) else column
        for names, column in columns.items()
        for name in names.split()
    }
    TABLES[label] = Table(label, purpose, kept, rows, found, remains)


def not_personal(reason: str, labels: str) -> None:
    """Add tables without personal data to the inventory. ``labels``: separated by spaces."""
    NOT_PERSONAL.update(dict.fromkeys(labels.split(), reason))


def nobody(_person: Person) -> Q:
    """Return a condition that no row meets, for tables whose rows do not name a person."""
    return Q(pk__in=())


_ACCOUNT = "as long as the account exists"
_EXPIRY = "until it expires; then until the next `prune`"

describe(
    "accounts.User",
    "pk",
    {
        "id": "identifies the account in tokens, logs and at apps",
        "username email display_name given_name family_name about": (
            "how the person signs in, is reached and is shown"
        ),
        "language time_zone": "the language of pages and emails, and the times in them",
        "date_joined last_login password_at passkey_declined_at updated_at": "times of use",
        "is_active is_staff is_superuser emailed_codes": "what the account may do, and how",
        "locked_at horizon": "times of the lock, and since when changes do not count",
        "deletion_due": "when the account will be deleted",
        "password": secret("the hash of the password"),
        "username_key credential_version has_factor": internal("finds and versions the account"),
    },
    purpose="The account.",
    kept=_ACCOUNT,
)
describe(
    "accounts.Picture",
    "user",
    {
        "content": "the picture, a WebP file (in an export in Base64)",
        "name": internal("the last part of its address"),
    },
    purpose="The profile picture.",
    kept=_ACCOUNT,
)
describe(
    "accounts.EmailAddress",
    "user",
    {
        "email confirmed_at vouched_at": "reaches the person, and proves ownership in a recovery",
        "id key": internal("makes an address unique"),
    },
    purpose="The confirmed email addresses.",
    kept=_ACCOUNT,
)
describe(
    "accounts.PendingEmail",
    "user",
    {
        "email expires_at": "the address, and when the link to confirm it ends",
        "id key": internal("finds the address"),
    },
    purpose="Email addresses that are not confirmed yet.",
    kept="3 days; 90 days if they were imported",
)
describe(
    "accounts.Username",
    lambda person: Q(key__in=person.names),
    {
        "key held_until": "the name, and how long a former name is reserved",
        "former": internal("the account"),
    },
    purpose="Usernames that nobody else can take.",
    kept="as long as the account exists; after a change, 30 days",
    remains="For a year, nobody can take the name: a keyed digest of each skeleton is stored.",
)
describe(
    "accounts.NameSkeleton",
    lambda person: Q(name__in=person.names),
    {"skeleton name": internal("refuses names that look alike")},
    purpose="Forms of usernames that all look-alike names share.",
    kept="as long as the username is taken",
    remains="As for `accounts.Username`.",
)
describe(
    "accounts.FormerCredential",
    "user",
    {
        "kind label since removed_at is_suspended": "what was removed or replaced, and when",
        "data": secret("the hash or the factor, so that it can prove ownership"),
        "id key": internal("finds the credential"),
    },
    purpose="Replaced, removed and suspended credentials, which may prove ownership after a theft.",
    kept="37 days after the removal; longer while the account is locked or under review",
)
describe(
    "accounts.PendingSignup",
    lambda person: Q(email_key__in=person.emails),
    {
        "username email expires_at": "the account that the person asked for",
        "next wide_network": "where the person goes next; limits sign-ups by network",
        "terms_version": "the terms that the person accepted",
        "password": secret("the hash of the password"),
        "id username_key email_key": internal("finds the sign-up"),
    },
    purpose="Sign-ups whose email address is not confirmed yet.",
    kept="3 days",
)
describe(
    "accounts.Identity",
    "user",
    {
        "issuer subject label": "the account at the provider",
        "connected_at used_at suspended_at": "when it was connected, used or suspended",
        "id": internal("numbers the rows"),
    },
    purpose="Connected accounts at identity providers.",
    kept="until the person disconnects the provider",
)
describe(
    "accounts.User_groups",
    "user",
    {"group": "a group of the person", "id": internal("numbers the rows")},
    purpose="The groups of an account.",
    kept="until staff remove the person from the group",
)
describe(
    "accounts.User_user_permissions",
    "user",
    {"permission": "a right of the person that no group gives", "id": internal("numbers the rows")},
    purpose="The rights that an account has without a group.",
    kept="until a superuser takes the right away",
)
describe(
    "accounts.Activity",
    "user",
    {
        "kind at detail": "what happened and when; no detail about other people",
        "ip browser system proof session key": "from where, and with which proof, session or key",
        "reason": "why staff acted; not why the person acted on others",
        "actor actor_id": others("which member of staff acted"),
        "id": internal("orders the events"),
    },
    purpose="The security history, in which people find what was not them.",
    kept="`ACTIVITY_DAYS`; failed sign-ins to unknown accounts 30 days",
    remains="In the histories of other people, `@` and the id replace the name or email address. "
    "For 30 days, one event says that the account with this id was erased.",
)
describe(
    "accounts.TermsAcceptance",
    "user",
    {
        "version accepted_at": "which terms the person accepted, and when",
        "id": internal("numbers the rows"),
    },
    purpose="Evidence that the person accepted the terms of the site.",
    kept=_ACCOUNT,
)
describe(
    "accounts.APIKey",
    "user",
    {
        "id name scope staff_scope": "which key it is, and what it may do",
        "made_at expires_at told_at used_at ip session": "where it was made and used, and when",
        "digest": secret("recognises the key"),
    },
    purpose="API keys.",
    kept="until the person deletes the key, or it has expired",
)
describe(
    "accounts.LoginSession",
    "user",
    {
        "id kind agent browser system ip": "which browser or app is signed in, and from where",
        "amr auth_time factor_at passkey_at stepped_up_at": "which proofs were shown, and when",
        "begun_at used_at idle_at ends_at ended_at": "when it began, was used and ends",
        "signed_out_at": "when the person signed out, if an app stays connected",
        "is_remembered ended_by challenged_at": "how long it lasts, and why it ended",
        "scope rotated_at": "what its tokens may do, and when they were renewed",
        "pairwise_subject": "the id by which one app knows the person",
        "refresh_digest former_digest ended_key": secret("recognises the browser or the token"),
        "dpop_thumbprint factor_key": internal("the key of the client, and the factor it used"),
    },
    purpose="Sessions: browsers and apps in which the person is signed in.",
    kept="until a day after its end",
)
describe(
    "accounts.BrowserSession",
    "login_session__user",
    {
        "session_key session_data": secret("recognises the browser, and what it has just done"),
        "expire_date": internal("when the data expires"),
    },
    purpose="The session data of browsers.",
    kept=_EXPIRY,
    remains="The data of browsers that are not signed in does not say whose it is, and expires.",
)
describe(
    "accounts.KnownBrowser",
    "user",
    {
        "browser system since until factor_at": "which browser is known, and since when",
        "digest": secret("recognises the browser"),
        "id version": internal("numbers the rows"),
    },
    purpose="Browsers in which the person has signed in, to tell new ones apart.",
    kept=_EXPIRY,
)
describe(
    "accounts.TrustedBrowser",
    "user",
    {
        "browser system made_at used_at ends_at": "which browser is trusted, and how long",
        "digest": secret("recognises the browser"),
        "id version": internal("numbers the rows"),
    },
    purpose="Browsers that are not asked for a second factor.",
    kept=_EXPIRY,
)
describe(
    "accounts.Authenticator",
    "user",
    {
        "name made_at used_at": "which app it is, and when it was used",
        "sealed_seed": secret("checks codes"),
        "id confirmed last_t": internal("lets each code work once"),
    },
    purpose="Authenticator apps.",
    kept="until the person removes it",
)
describe(
    "accounts.RecoveryCodes",
    "user",
    {
        "made_at saved_at": "when the codes were made and saved",
        "sealed": secret("checks codes"),
        "id name confirmed": internal("the same for everybody"),
    },
    purpose="Recovery codes.",
    kept="until the person removes or replaces them",
)
describe(
    "accounts.Passkey",
    "user",
    {
        "name made_at used_at aaguid transports is_synced": "which passkey it is, and its use",
        "credential_id public_key": "recognise the passkey",
        "id confirmed sign_count is_eligible": internal("detects copies of the passkey"),
    },
    purpose="Passkeys and security keys.",
    kept="until the person removes it",
)
describe(
    "accounts.Recovery",
    "user",
    {
        "opened_at asked_at warned_at told_at stopped_at support_asked_at": "what happened when",
        "opened_with asked stopped stopped_by at_support": "which proofs of ownership were shown",
        "lone_locks": "when each mailbox locked the account without another proof",
        "mails": internal("the notices that announced the request"),
    },
    purpose="Recoveries of the account.",
    kept=_ACCOUNT,
)
describe(
    "accounts.TokenChallenge",
    "user",
    {
        "digest": secret("recognises the client"),
        "version proofs audience scope kind nonce tries_left expires_at": internal("the sign-in"),
    },
    purpose="Sign-ins to the API that wait for their second step.",
    kept="5 minutes; then until the next `prune`",
)
describe(
    "accounts.Code",
    lambda person: (
        Q(email__in=person.emails)
        | Q(subject__startswith=str(person.id))
        | Q(subject__in=map(str, person.subjects))
    ),
    {
        "digest": secret("recognises the code or link"),
        "id purpose subject email tries_left expires_at": internal("what the code is for"),
    },
    purpose="Emailed codes and links.",
    kept=_EXPIRY,
)
describe(
    "accounts.Invitation",
    lambda person: Q(email_key__in=person.emails) | Q(invited_by=person.id),
    {
        "email is_staff reason created_at expires_at": "who is invited, and why",
        "id email_key invited_by": internal("finds the invitation, and who has sent it"),
    },
    purpose="Invitations to create an account, to the person or by the person.",
    kept="until it is accepted, revoked or expires",
)
describe(
    "accounts.Invitation_groups",
    lambda person: Q(invitation__email_key__in=person.emails) | Q(invitation__invited_by=person.id),
    {"id invitation group": internal("the groups that the new account gets")},
    purpose="The groups of an invitation.",
    kept="as the invitation",
)
describe(
    "accounts.OutgoingMail",
    lambda person: Q(recipient__in=person.recipients),
    {
        "heading created_at": "which email it is",
        "sealed": secret("the email, which may contain a code"),
        "id recipient queue mass due_at attempts lease expires_at refused_at": internal(
            "the delivery"
        ),
    },
    purpose="Emails that wait to be sent.",
    kept="until a mail server has accepted it, but at most 5 days",
)
describe(
    "accounts.MailReceipt",
    lambda person: Q(recipient__in=person.recipients),
    {
        "heading created_at done_at failure": "which email it was, and what became of it",
        "id recipient is_notice mass": internal("finds the emails to an address or of a mass mail"),
    },
    purpose="What became of emails, for people who wait for one.",
    kept="30 days",
)
describe(
    "accounts.Export",
    "user",
    {
        "id size": internal("identifies the file"),
        "created_at made_at fetched_at": internal("when the file was asked for, made and fetched"),
        "steps_done steps due_at attempts lease": internal("how far the work is"),
    },
    purpose="Requests of a person for their data. The security history has them, too.",
    kept="a day",
)
describe(
    "accounts.ExportPart",
    "export__user",
    {
        "sealed": secret("the file, encrypted; it is what the person gets"),
        "id lease number": internal("the place in the file"),
    },
    purpose="The files of exports.",
    kept="until the file is fetched, but at most a day",
)
describe(
    "admin.LogEntry",
    lambda person: (
        Q(user=person.id)
        | Q(content_type__model="user", object_id=str(person.id))
        | Q(object_repr__in=person.emails)
    ),
    {
        "action_time action_flag": "when staff changed something",
        "id user content_type object_id object_repr change_message": others("who changed whom"),
    },
    purpose="Changes on the pages of Django's admin. The security history has the same changes.",
    kept=_ACCOUNT,
)
describe(
    "accounts.FamiliarPlace",
    lambda person: Q(owner=person.id),
    {
        "until": "how long a network or client is known",
        "key owner": internal("a digest of the account with the network or client"),
    },
    purpose="Networks and clients from which the person has signed in, to tell new ones apart.",
    kept="90 days after the last sign-in",
)
describe(
    "accounts.CreatingCall",
    lambda person: Q(owner__in=person.subjects),
    {"digest body status object_id owner created_at": internal("repeats the answer to a program")},
    purpose="Programs that got no answer repeat a call, which then creates nothing twice.",
    kept="24 hours; then until the next `prune`",
)
not_personal(
    "Its keys are digests of what is limited or was used. A row expires within days.",
    "accounts.StoredBudget accounts.UsedOnce",
)
not_personal(
    "It contains keyed digests of the usernames of deleted accounts for a year, and nothing else.",
    "accounts.BlockedName",
)
not_personal("It contains the id of an account that no longer exists.", "accounts.Erasure")
not_personal("It counts events.", "accounts.DailyCount accounts.Refusals")
not_personal("It contains the digests of files of the operator.", "accounts.ImportedFile")
not_personal("It counts the algorithms of password hashes.", "accounts.HashKind")
not_personal(
    "It belongs to the site.",
    "accounts.LastSuccess accounts.MadeByFile accounts.MassMailPace accounts.SigningKey",
)
not_personal(
    "It contains groups and rights, not who has them.",
    "auth.Group auth.Permission auth.Group_permissions contenttypes.ContentType",
)
not_personal(
    "allauth defines the table, and this site never writes to it.",
    "account.EmailAddress account.EmailConfirmation "
    "socialaccount.SocialApp socialaccount.SocialAccount socialaccount.SocialToken",
)

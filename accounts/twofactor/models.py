"""Second factors as devices of django-otp. :meth:`Factor.use` uses up a code in one UPDATE.

The plugins of django-otp are not used, because they store seeds and codes in clear text.
"""

import hmac
import json
import logging
import re
from abc import abstractmethod
from hashlib import sha256
from typing import Any, ClassVar

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models
from django_otp.models import Device
from django_otp.oath import TOTP

from accounts.common import clock, crypto, secrets
from accounts.common.client_info import LONGEST_NAME
from accounts.common.client_info import Device as BrowserDevice
from accounts.common.text import canonical_code
from accounts.twofactor.webauthn import PasskeyResponse

# The names of passkey providers by AAGUID, the id of an authenticator model (WebAuthn 6.1). The
# list is maintained by the community. Most security keys send no AAGUID.
NAMES = {
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
    "dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "Apple Passwords",
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
    "b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
}


COUNT = 10
TOTP_CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODE = re.compile(rf"[{secrets.READABLE_ALPHABET}]{{13}}")
MAILED_CODE = re.compile(r"[0-9]{8}")
# A recovery code of another system in its canonical form; and the name for a set of them.
IMPORTED_CODE = re.compile(r"[0-9A-Z]{8,64}")
IMPORTED_CODES = "Imported recovery codes"


def canonical(typed: str) -> str:
    """Return the canonical form of a typed code.

    Spaces and case are removed, and the digits of every script are converted.
    """
    code = canonical_code(typed)
    lower = code.lower()
    return lower if RECOVERY_CODE.fullmatch(lower) else code


def new_recovery_codes() -> list[str]:
    """Return ten recovery codes of 65 random bits each, without hyphens."""
    return [secrets.recovery_code() for _ in range(COUNT)]


def written(code: str) -> str:
    """Return a recovery code in the form that users see: three groups with hyphens."""
    return f"{code[:4]}-{code[4:9]}-{code[9:]}"


log = logging.getLogger(__name__)

SEED_PURPOSE = "totp.seed"
CODES_PURPOSE = "recovery.codes"
# Codes of the previous and the next time step are accepted as well (RFC 6238 section 5.2).
TOLERANCE = 1
# The library ``webauthn`` uses this word for a passkey that may be synced between devices.
MULTI_DEVICE = "multi_device"


def totp_of(seed: str) -> TOTP:
    """Return the current TOTP of the hexadecimal ``seed`` (RFC 6238: SHA-1, 6 digits, 30 s)."""
    totp = TOTP(bytes.fromhex(seed))
    totp.time = clock.now().timestamp()
    return totp


class Factor(Device):
    """A second factor.

    ``changes``: the fields that :meth:`consume` sets. The first one changes at every use that must
        not be repeated.
    """

    made_at = models.DateTimeField(default=clock.now)
    changes: ClassVar[tuple[str, ...]]

    class Meta(Device.Meta):
        abstract = True

    @abstractmethod
    def consume(self, token: Any) -> bool:
        """Return whether ``token`` is right; if so, set the fields for its use, unsaved."""

    def use(self, token: Any) -> bool:
        """Use up ``token``; return whether it was right. Of simultaneous uses, one succeeds.

        Raises:
            CounterWentBack: see :meth:`Passkey.consume`.
        """
        former = getattr(self, self.changes[0])
        return self.consume(token) and self.store_use(former)

    def store_use(self, former: Any) -> bool:
        """Save the fields that :meth:`consume` has set; return False if another request was faster.

        ``former``: the former value of the first field of ``changes``.
        """
        rows = type(self)._default_manager.filter(pk=self.pk, **{self.changes[0]: former})
        return rows.update(**{name: getattr(self, name) for name in self.changes}) == 1


class Authenticator(Factor):
    """An authenticator app. ``last_t``: the time step of the last accepted code."""

    sealed_seed = models.TextField()
    last_t = models.BigIntegerField(default=-1)
    used_at = models.DateTimeField(null=True)
    changes = ("last_t", "used_at")

    @property
    def is_readable(self) -> bool:
        """Whether a key of ``ENCRYPTION_KEYS`` can decrypt its secret."""
        return crypto.can_unseal(self.sealed_seed, SEED_PURPOSE)

    @property
    def seed(self) -> str:
        """The decrypted seed in hexadecimal."""
        return crypto.unseal(self.sealed_seed, SEED_PURPOSE)

    def consume(self, token: str) -> bool:
        step = self._step_of(token) if token.isdigit() else None
        if step is None:
            return False
        self.last_t, self.used_at = step, clock.now()
        return True

    def _step_of(self, code: str) -> int | None:
        try:
            totp = totp_of(self.seed)
        except InvalidToken:
            # The seed was encrypted with a key that is no longer in ENCRYPTION_KEYS.
            log.warning("The seed of authenticator %s can't be decrypted.", self.pk)
            return None
        is_right = totp.verify(int(code), tolerance=TOLERANCE, min_t=self.last_t + 1)
        return totp.t() if is_right else None


class RecoveryCodes(Factor):
    """The unused recovery codes of a user, as encrypted and salted digests.

    ``saved_at``: when the user typed one of the codes, to confirm that the codes are saved.
    """

    sealed = models.TextField()
    saved_at = models.DateTimeField(null=True)
    changes = ("sealed",)

    class Meta(Factor.Meta):
        abstract = False
        constraints = (models.UniqueConstraint(fields=("user",), name="one_set_of_codes"),)

    @property
    def is_readable(self) -> bool:
        """Whether a key of ``ENCRYPTION_KEYS`` can decrypt its secret."""
        return crypto.can_unseal(self.sealed, CODES_PURPOSE)

    @property
    def left(self) -> int:
        """The number of unused codes."""
        return len(self._unsealed()[1])

    def fits(self, code: str) -> bool:
        """Return whether ``code`` is an unused recovery code.

        Only :meth:`use` is reliable, because another request may use the code first.
        """
        salt, digests = self._unsealed()
        return _matching_digest(_digest(salt, code), digests) is not None

    def consume(self, token: str) -> bool:
        salt, digests = self._unsealed()
        found = _matching_digest(_digest(salt, token), digests)
        if found is None:
            return False
        digests.remove(found)
        self.sealed = seal_digests(salt, digests)
        return True

    def _unsealed(self) -> tuple[str, list[str]]:
        try:
            kept = json.loads(crypto.unseal(self.sealed, CODES_PURPOSE))
        except InvalidToken:
            log.warning("The recovery codes %s can't be decrypted.", self.pk)
            return "", []
        return kept["salt"], kept["digests"]


class CounterWentBack(Exception):
    """The signature counter of the passkey has not increased since its last use.

    Somebody may have copied the passkey.
    """


class Passkey(Factor):
    """A passkey or security key (WebAuthn). Nothing in this table is secret.

    ``credential_id``, ``public_key``: URL-safe base64.
    ``aaguid``: the id of the authenticator model.
    ``confirmed``: a field of django-otp. It is False for a passkey that the browser has created by
        itself, which is not a second factor yet.
    ``is_eligible``: whether the passkey may be synced between devices; null until the first use of
        a passkey from another system.
    """

    credential_id = models.CharField(max_length=1400, unique=True)
    public_key = models.TextField()
    sign_count = models.BigIntegerField()
    transports = models.JSONField(default=list)
    aaguid = models.CharField(max_length=36)
    is_eligible = models.BooleanField(null=True)
    is_synced = models.BooleanField()
    used_at = models.DateTimeField(null=True)
    changes = ("sign_count", "used_at", "is_synced", "is_eligible")

    @property
    def provider(self) -> str:
        """The name of the provider that stores the passkey; empty if unknown."""
        return NAMES.get(self.aaguid, "")

    @property
    def descriptor(self) -> dict[str, Any]:
        """The passkey as an item of the options for a browser (WebAuthn 5.8.3)."""
        return {"id": self.credential_id, "type": "public-key", "transports": self.transports}

    def consume(self, token: PasskeyResponse) -> bool:
        """Return whether ``token`` is valid; if so, set the fields for its use without saving them.

        Raises:
            CounterWentBack: the passkey may have been copied.
        """
        from accounts.twofactor import signatures  # noqa: PLC0415 its library takes 10 MB

        verified = signatures.verify_assertion(token, self.public_key)
        if verified is None:
            return False
        # This flag never changes for a passkey (WebAuthn 7.2 and 6.1.3), so the response is from
        # another passkey.
        is_eligible = verified.credential_device_type == MULTI_DEVICE
        if self.is_eligible not in {None, is_eligible}:
            return False
        if self.sign_count and verified.new_sign_count <= self.sign_count:
            raise CounterWentBack
        self.sign_count, self.used_at = verified.new_sign_count, clock.now()
        self.is_eligible = is_eligible
        self.is_synced = verified.credential_backed_up
        return True


class TrustedBrowser(models.Model):
    """A browser in which the second step is skipped.

    ``digest``: the digest of the secret in the cookie.
    ``version``: the ``credential_version`` of the user when the browser became trusted: any later
        change of credentials ends the trust.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="trusted_browsers"
    )
    digest = models.CharField(max_length=64, unique=True)
    version = models.PositiveIntegerField()
    browser = models.CharField(max_length=LONGEST_NAME, blank=True)
    system = models.CharField(max_length=LONGEST_NAME, blank=True)
    made_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(default=clock.now)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.device)

    @property
    def device(self) -> BrowserDevice:
        """The browser and its operating system."""
        return BrowserDevice(self.browser, self.system)


def seal_seed(seed: str) -> str:
    """Encrypt ``seed`` in the form that ``Authenticator`` stores."""
    return crypto.seal(seed, SEED_PURPOSE)


def sealed_codes(codes: list[str], salt: str) -> str:
    """Return the encrypted, salted digests of ``codes`` as ``RecoveryCodes`` stores them."""
    return seal_digests(salt, [_digest(salt, code) for code in codes])


def seal_digests(salt: str, digests: list[str]) -> str:
    """Encrypt ``digests`` of recovery codes in the form that ``RecoveryCodes`` stores."""
    return crypto.seal(json.dumps({"salt": salt, "digests": digests}), CODES_PURPOSE)


def _digest(salt: str, code: str) -> str:
    return hmac.new(salt.encode(), code.encode(), sha256).hexdigest()


def _matching_digest(digest: str, digests: list[str]) -> str | None:
    """Return ``digest`` if it is in ``digests``, else None.

    All digests are compared, so that the time does not depend on the position of the match.
    """
    found = [kept for kept in digests if hmac.compare_digest(kept, digest)]
    return found[0] if found else None

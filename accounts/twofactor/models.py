"""Second factors as django-otp's devices: its ``verify_token`` locks the row, then asks it.

Its own plugins are not installed: they keep seeds and codes in clear.
"""

import hmac
import json
import logging
from dataclasses import dataclass
from hashlib import sha256

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models
from django_otp.models import Device
from django_otp.oath import TOTP
from webauthn import base64url_to_bytes, verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import CredentialDeviceType

from accounts.common import clock, crypto
from accounts.common.client_info import LONGEST_NAME
from accounts.common.client_info import Device as BrowserDevice
from accounts.twofactor import aaguids

log = logging.getLogger(__name__)

SEED_PURPOSE = "totp.seed"
CODES_PURPOSE = "recovery.codes"
# RFC 6238 section 5.2: the step before and the one after count as well.
TOLERANCE = 1


def totp_of(seed: str) -> TOTP:
    """The codes of ``seed``, hexadecimal, at this moment (RFC 6238: SHA-1, 6 digits, 30 s)."""
    totp = TOTP(bytes.fromhex(seed))
    totp.time = clock.now().timestamp()
    return totp


class Authenticator(Device):
    """An authenticator app. ``last_t`` is the time step of the last code that was taken."""

    sealed_seed = models.TextField()
    last_t = models.BigIntegerField(default=-1)
    made_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)

    @property
    def seed(self) -> str:
        """The seed in clear, hexadecimal."""
        return crypto.unseal(self.sealed_seed, SEED_PURPOSE)

    def fits(self, code: str) -> bool:
        """Whether ``code`` is one that would be taken. Decides nothing: the row isn't held."""
        return self._step_of(code) is not None

    def verify_token(self, token: str) -> bool:
        """Take a code, once. The caller holds the row: see ``django_otp.verify_token``."""
        if not self.spend(token):
            return False
        self.save(update_fields=["last_t", "used_at"])
        return True

    def spend(self, code: str) -> bool:
        """Note in memory that ``code`` is used, if it is right; return whether it is."""
        step = self._step_of(code) if code.isdigit() else None
        if step is None:
            return False
        self.last_t, self.used_at = step, clock.now()
        return True

    def _step_of(self, code: str) -> int | None:
        try:
            totp = totp_of(self.seed)
        except InvalidToken:
            # Its key of ENCRYPTION_KEYS is gone: the person has other ways, and says so there.
            log.warning("The seed of authenticator %s can't be decrypted.", self.pk)
            return None
        is_right = totp.verify(int(code), tolerance=TOLERANCE, min_t=self.last_t + 1)
        return totp.t() if is_right else None


class RecoveryCodes(Device):
    """A person's recovery codes: sealed, salted digests of those that are left.

    ``saved_at`` is when one of them was typed back, to show that they were kept.
    """

    sealed = models.TextField()
    made_at = models.DateTimeField(default=clock.now)
    saved_at = models.DateTimeField(null=True)

    class Meta(Device.Meta):
        abstract = False
        constraints = (models.UniqueConstraint(fields=("user",), name="one_set_of_codes"),)

    @property
    def left(self) -> int:
        """How many have not been used."""
        return len(self._kept()[1])

    def fits(self, code: str) -> bool:
        """Whether ``code`` is one of those that are left. Decides nothing: the row isn't held."""
        salt, digests = self._kept()
        return _find(_digest(salt, code), digests) is not None

    def verify_token(self, token: str) -> bool:
        """Use one up. The caller holds the row: see ``django_otp.verify_token``."""
        if not self.spend(token):
            return False
        self.save(update_fields=["sealed"])
        return True

    def spend(self, code: str) -> bool:
        """Remove ``code`` in memory, if it is one of those that are left; return whether it is."""
        salt, digests = self._kept()
        found = _find(_digest(salt, code), digests)
        if found is None:
            return False
        digests.remove(found)
        self.sealed = _seal(salt, digests)
        return True

    def _kept(self) -> tuple[str, list[str]]:
        try:
            kept = json.loads(crypto.unseal(self.sealed, CODES_PURPOSE))
        except InvalidToken:
            log.warning("The recovery codes %s can't be decrypted.", self.pk)
            return "", []
        return kept["salt"], kept["digests"]


@dataclass(frozen=True)
class Assertion:
    """What a passkey has signed: the browser's JSON, for which challenge, by whom."""

    json: str
    challenge: bytes
    must_verify: bool


class CounterWentBack(Exception):
    """The passkey counts its uses, and this one isn't later than the last: it may be a copy."""


class Passkey(Device):
    """A passkey or security key (WebAuthn). Nothing here is secret: the key is the public one.

    ``credential_id`` and ``public_key`` are URL-safe base64, ``aaguid`` names the maker's model.
    ``is_eligible`` is whether it may ever be synced; a passkey from before this column has None
    until its next use.
    """

    credential_id = models.CharField(max_length=1400, unique=True)
    public_key = models.TextField()
    sign_count = models.BigIntegerField()
    transports = models.JSONField(default=list)
    aaguid = models.CharField(max_length=36)
    is_eligible = models.BooleanField(null=True)
    is_synced = models.BooleanField()
    made_at = models.DateTimeField(default=clock.now)
    used_at = models.DateTimeField(null=True)

    @property
    def provider(self) -> str:
        """Who keeps it, where that is known."""
        return aaguids.NAMES.get(self.aaguid, "")

    def verify_token(self, token: Assertion) -> bool:
        """As :meth:`spend`, and save. The caller holds the row: see ``django_otp.verify_token``."""
        if not self.spend(token):
            return False
        self.save(update_fields=["sign_count", "used_at", "is_eligible", "is_synced"])
        return True

    def spend(self, token: Assertion) -> bool:
        """Return whether ``token`` is right; if so, note in memory that the passkey was used.

        Raises:
            CounterWentBack: the passkey may have been copied.
        """
        try:
            verified = verify_authentication_response(
                credential=token.json,
                expected_challenge=token.challenge,
                expected_rp_id=rp_id(),
                expected_origin=settings.AUTHSITE.origin,
                credential_public_key=base64url_to_bytes(self.public_key),
                # Judged below, so that a copy can be told from a wrong signature.
                credential_current_sign_count=0,
                require_user_verification=token.must_verify,
            )
        except (WebAuthnException, ValueError):
            # The library decodes the user handle, which nobody has signed, without care.
            return False
        is_eligible = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
        # It never changes (WebAuthn 7.2 and 6.1.3), so this is not the passkey that was added.
        if self.is_eligible not in {None, is_eligible}:
            return False
        counts = verified.new_sign_count or self.sign_count
        if counts and verified.new_sign_count <= self.sign_count:
            raise CounterWentBack
        self.sign_count, self.used_at = verified.new_sign_count, clock.now()
        self.is_eligible, self.is_synced = is_eligible, verified.credential_backed_up
        return True


class TrustedBrowser(models.Model):
    """A browser that isn't asked for the second step; ``digest`` is of the cookie's secret.

    ``version`` is the ``credential_version`` of that moment: any change since ends it.
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
        """The browser in words."""
        return BrowserDevice(self.browser, self.system)


class SpentChallenge(models.Model):
    """A challenge that was used, until it would have ended."""

    nonce = models.CharField(primary_key=True, max_length=32)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.nonce


def rp_id() -> str:
    """The host that passkeys are bound to (WebAuthn 5.4.2)."""
    return settings.AUTHSITE.hostname


def sealed_codes(codes: list[str], salt: str) -> str:
    """What is stored of ``codes``."""
    return _seal(salt, [_digest(salt, code) for code in codes])


def _seal(salt: str, digests: list[str]) -> str:
    return crypto.seal(json.dumps({"salt": salt, "digests": digests}), CODES_PURPOSE)


def _digest(salt: str, code: str) -> str:
    return hmac.new(salt.encode(), code.encode(), sha256).hexdigest()


def _find(digest: str, digests: list[str]) -> str | None:
    """It among ``digests``, in a time that doesn't tell where."""
    found = [kept for kept in digests if hmac.compare_digest(kept, digest)]
    return found[0] if found else None

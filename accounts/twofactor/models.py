"""Second factors as django-otp's devices: its ``verify_token`` locks the row, then asks it.

Its own plugins are not installed: they keep seeds and codes in clear.
"""

import hmac
import json
from hashlib import sha256

from django.conf import settings
from django.db import models
from django_otp.models import Device
from django_otp.oath import TOTP

from accounts.kernel import clock, crypto

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
        step = self._step_of(token)
        if step is None:
            return False
        self.last_t, self.used_at = step, clock.now()
        self.save(update_fields=["last_t", "used_at"])
        return True

    def _step_of(self, code: str) -> int | None:
        totp = totp_of(self.seed)
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
        salt, digests = self._kept()
        found = _find(_digest(salt, token), digests)
        if found is None:
            return False
        digests.remove(found)
        self.sealed = _seal(salt, digests)
        self.save(update_fields=["sealed"])
        return True

    def _kept(self) -> tuple[str, list[str]]:
        kept = json.loads(crypto.unseal(self.sealed, CODES_PURPOSE))
        return kept["salt"], kept["digests"]


class FactorRecovery(models.Model):
    """Somebody asked to remove every second factor of a person; from ``due_at`` on it can be done.

    ``version`` is the ``credential_version`` of that moment: any change since makes it void.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="factor_recovery",
    )
    version = models.PositiveIntegerField()
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"due at {self.due_at}"


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

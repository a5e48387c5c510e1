"""Verifies the responses of passkeys with the library ``webauthn``.

Import this module only where it is needed: the library takes 10 MB, and a site without passkeys
need not load it.
"""

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.registration.verify_registration_response import VerifiedRegistration

from accounts.common import crypto
from accounts.twofactor.errors import WrongPasskey
from accounts.twofactor.webauthn import PasskeyResponse, passkey_origins, rp_id


def verify_assertion(answer: PasskeyResponse, public_key: str) -> VerifiedAuthentication | None:
    """Verify the response ``answer`` of a passkey and return it; None if it is not valid.

    The caller checks the signature counter, to distinguish a copied passkey from a wrong signature.
    """
    try:
        return verify_authentication_response(
            credential=answer.content,
            expected_challenge=answer.challenge,
            expected_rp_id=rp_id(),
            expected_origin=passkey_origins(),
            credential_public_key=crypto.decode(public_key),
            credential_current_sign_count=0,
            require_user_verification=answer.must_verify,
        )
    except (WebAuthnException, ValueError):
        # The library raises ValueError for a malformed user handle, which is not signed.
        return None


def verify_registration(answer: PasskeyResponse, *, is_automatic: bool) -> VerifiedRegistration:
    """Return the new passkey in ``answer`` after verifying that it was created for this site.

    ``is_automatic``: whether the browser may have created it without the user (WebAuthn 7.1).

    Raises:
        WrongPasskey: the response is not valid, or its public key cannot be decoded.
    """
    try:
        registration = verify_registration_response(
            credential=answer.content,
            expected_challenge=answer.challenge,
            expected_rp_id=rp_id(),
            expected_origin=passkey_origins(),
            require_user_presence=not is_automatic,
        )
        # The library accepts some keys that it cannot decode later, and with which nobody could
        # sign in.
        _decode(registration.credential_public_key)
    except Exception:
        # The parsers raise undocumented errors for malformed certificates and CBOR.
        raise WrongPasskey from None
    return registration


def is_public_key(public_key: str) -> bool:
    """Return whether signatures can be verified with ``public_key`` (COSE, URL-safe base64)."""
    try:
        _decode(crypto.decode(public_key))
    except Exception:
        # The parsers raise undocumented errors for malformed CBOR.
        return False
    return True


def _decode(public_key: bytes) -> None:
    decoded_public_key_to_cryptography(decode_credential_public_key(public_key))

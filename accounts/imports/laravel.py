"""Decrypts what a site with Laravel has encrypted with its ``APP_KEY``."""

import hmac
import re
from base64 import b64decode
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from accounts.imports.files import Record

# What PHP's ``serialize`` returns for a text.
_SERIALIZED = re.compile(rb's:\d+:"(.*)";', re.DOTALL)


def decrypted(sealed: str, app_key: str) -> str:
    """Return the text for which Laravel's ``encrypt`` has returned ``sealed``.

    The cipher is AES-256-CBC, Laravel's default.

    Raises:
        ValueError: ``app_key`` is another key, or ``sealed`` has another form.
        BadRow: ``sealed`` does not contain a JSON object.
    """
    key = b64decode(app_key.removeprefix("base64:"), validate=True)
    payload = Record({"payload": b64decode(sealed).decode()}).record("payload")
    iv, value = payload.text("iv").encode(), payload.text("value").encode()
    mac = hmac.new(key, iv + value, sha256).hexdigest()
    if not hmac.compare_digest(mac.encode(), payload.text("mac").encode()):
        raise ValueError("APP_KEY is another one")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(b64decode(iv))).decryptor()
    unpadder = PKCS7(algorithms.AES.block_size).unpadder()
    clear = unpadder.update(decryptor.update(b64decode(value)) + decryptor.finalize())
    found = _SERIALIZED.fullmatch(clear + unpadder.finalize())
    if found is None:
        raise ValueError("the value is no text")
    return found[1].decode()

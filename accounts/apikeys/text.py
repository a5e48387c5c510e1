"""The text of API keys: ``authsite_`` and 55 more characters; see ``accounts.common.key_text``."""

from accounts.common.key_text import ID_LENGTH, KeyText, digest

__all__ = ["ID_LENGTH", "PREFIX", "digest", "id_of", "is_key", "make"]

PREFIX = "authsite_"
_TEXT = KeyText(PREFIX)
make, is_key, id_of = _TEXT.make, _TEXT.is_key, _TEXT.id_of

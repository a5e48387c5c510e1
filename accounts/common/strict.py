"""What ``STRICT=on`` requires beyond the defaults of the settings.

The values follow ASVS 5.0 level 3 and, for authenticator assurance level 2, NIST SP 800-63B-4.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# The allowed words, the default first.
WORDS = {
    "second_factor": ("all",),
    "staff_factor": ("passkey",),
    "session_protection": ("basic", "strong"),
    "api_basic_password": ("off",),
}
# The largest values, which are also the defaults.
MOST = {
    "trusted_browser_days": 0,
    "session_idle_minutes": 60,
    "session_days": 1,
    "remember_days": 1,
    "access_token_seconds": 300,
    "refresh_token_days": 1,
    "refresh_idle_days": 1,
}
DEFAULTS: Mapping[str, Any] = {name: words[0] for name, words in WORDS.items()} | MOST


def faults(config: Any) -> Iterator[str]:
    """Yield a sentence for each setting in ``config`` that is weaker than ``STRICT=on`` allows."""
    if not config.is_strict:
        return
    for name, words in WORDS.items():
        if getattr(config, name) not in words:
            yield f"{name.upper()} is not {' or '.join(words)}, which STRICT=on requires"
    for name, most in MOST.items():
        if getattr(config, name) > most:
            yield f"{name.upper()} is more than {most}, the most that STRICT=on allows"

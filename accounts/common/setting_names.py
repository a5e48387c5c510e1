"""Finds misspelt names of settings, which would otherwise be ignored."""

from collections.abc import Iterable
from difflib import get_close_matches

# Shorter names, such as PORT, resemble too many variables of other programs, such as HOST.
SHORTEST = 6


def faults(environ: Iterable[str], dotenv: Iterable[str], known: set[str]) -> list[str]:
    """Return a sentence for each misspelt setting.

    Args:
        environ: names of variables of the environment. Other programs have variables there too, so
            only a name that differs from a setting by one character, or by underscores or case, is
            a fault.
        dotenv: names in the file ``.env``, which only this site reads. Each must be a setting.
        known: the names of all settings.
    """
    in_file = {name: _likeliest(name, known) for name in dotenv if name not in known}
    others = sorted(name for name in environ if name not in known | in_file.keys())
    near = {name: meant for name in others if (meant := _near(name, known))}
    return [
        f"{name} is not a setting{f': did you mean {meant}?' if meant else ''}"
        for name, meant in (in_file | near).items()
    ]


def _likeliest(name: str, known: set[str]) -> str:
    return next(iter(get_close_matches(name.upper(), known, n=1)), "")


def _near(name: str, known: set[str]) -> str:
    """Return the setting that ``name`` misspells by one character, underscores or case, or ""."""
    plain = _plain(name)
    alike = (n for n in sorted(known) if len(n) >= SHORTEST and _is_one_apart(plain, _plain(n)))
    return next(alike, "")


def _plain(name: str) -> str:
    return name.replace("_", "").upper()


def _is_one_apart(one: str, other: str) -> bool:
    """Return whether at most one character is missing, extra, wrong or swapped with the next.

    Then the Damerau-Levenshtein distance is at most 1.
    """
    if abs(len(one) - len(other)) > 1:
        return False
    shorter, longer = sorted((one, other), key=len)
    pairs = zip(shorter, longer, strict=False)
    start = next((i for i, (a, b) in enumerate(pairs) if a != b), len(shorter))
    here, there = shorter[start:], longer[start:]
    if len(shorter) < len(longer):
        return here == there[1:]
    is_swapped = here[:2] == there[1::-1] and here[2:] == there[2:]
    return here[1:] == there[1:] or is_swapped

"""Enumerations whose stored values may come from a newer version of the site."""

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """An enumeration that keeps values which this version does not know.

    Calling the class with such a value returns it as a member that is equal to no listed member.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self:
        member = str.__new__(cls, value)
        member._name_ = member._value_ = str(value)
        return member

"""Constants and steps that the tests of provider accounts share."""

from accounts.users.models import Identity
from tests.support.openid_provider import Person
from tests.support.steps import LOGIN

OTHER = "oidc/other"
SIGN_IN_FIRST = f"{LOGIN}?next=/accounts/3rdparty/confirm/"
CONFIRM_LINK = "/accounts/3rdparty/confirm/"
ALICE = Person("alice-1", "alice@example.org", username="alice")


def owners() -> list[tuple[str, str]]:
    return sorted(Identity.objects.values_list("user__username", "subject"))

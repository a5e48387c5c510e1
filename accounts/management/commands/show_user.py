"""``show_user``: show the state of an account, and what stops its owner from signing in."""

from typing import Any

from accounts.administration.explanation import explain
from accounts.administration.person import Facts
from accounts.apikeys import services as apikeys
from accounts.management.answers import UserCommand
from accounts.recovery.locks import Access
from accounts.twofactor import services as twofactor
from accounts.users import models as users_models
from accounts.users.models import User
from accounts.users.services import emails_of


class Command(UserCommand):
    """Changes nothing. The result contains no secret and no digest."""

    help = "Show an account: its state, second factors, and what stops its owner from signing in."

    def result_for(self, user: User) -> dict[str, Any]:
        held = twofactor.held(user)
        access = Access(user)
        apps = {row.client_id: row.client.label for row in access.connections}
        return {
            "username": user.username,
            "id": user.pk,
            "email": user.email,
            "emails": [row.email for row in emails_of(user)],
            "joined": user.date_joined,
            "last_login": user.last_login,
            "is_active": user.is_active,
            "is_locked": user.is_locked_down,
            "deletion_due": user.deletion_due,
            "is_staff": user.is_staff,
            "is_superuser": user.is_superuser,
            "groups": user.group_names,
            "has_password": user.has_usable_password(),
            "authenticator_apps": [row.name for row in held.authenticators],
            "passkeys": [row.name for row in (*held.passkeys, *held.unconfirmed)],
            "has_recovery_codes": held.recovery_codes is not None,
            "providers": [str(row) for row in users_models.of(user)],
            "sessions": access.live.count(),
            "apps": list(apps.values()),
            "api_keys": [key.label for key in apikeys.of(user)],
            "explanation": [
                {"code": block.code, "sentence": block.sentence, "until": block.until}
                for block in explain(Facts(user))
            ],
        }

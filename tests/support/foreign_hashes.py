"""Password hashes of other systems, all of the password ``TYPED``.

Other programs have made them: bcryptjs, firebase-scrypt, node-argon2, Node's crypto, Perl's Digest
and ``openssl passwd``.
"""

import json
from typing import Any

from django.test import Client

from accounts.passwords import foreign, notations
from accounts.passwords import services as passwords
from accounts.users.models import User
from tests.support.steps import WRONG, make_user, sign_in

TYPED = "Straße & café, 3 €"
BCRYPT = "$2b$04$p/nDw.nAKvZtniMSFYpi/OpBBsEKQTh2u64bckkdcZtfqqQ1aEn5W"
SHA256 = "c7e5e916f958ae657822e85e6af0ce813e8bf47fa6625ef031570d8ca446c97f"
NOTATIONS = {
    "bcrypt": BCRYPT,
    "bcrypt of Laravel": "$2y$04$MbIJpyHmQ4OeT9Tw6kxezuWwZ6E2mUI9ShhqqND9y3xGyqtLklX9S",
    "bcrypt of WordPress": "$wp$2y$04$uqjpFreI33blBSUnkSvJYePcseZYDDIYjXT/f0u3kGwDpYdsZPtoO",
    "argon2": "$argon2id$v=19$m=4096,t=1,p=1$Q4TK3wGN4pmIc0IuAVPZlA"
    "$ZFzhVNyGbCNRWMcRGa8vVTBIXx15WwzP5+NbcEZorIA",
    "scrypt of Werkzeug": "scrypt:1024:8:1$saltysalt$af976eef9340ce924f82d1e3d1d628febed8fdcca9666f"
    "0ccb244e169edddd8c690b57ddd4121ddfb79c625f6648600285d089fb16023e29f8c997f5f2af087d",
    "scrypt of passlib": "$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw"
    "$mexRfkWsy5MrtyA+VlO8gmVNbJt9RIvCHLkIhkZfjZM",
    "md5-crypt": "$1$abcdefgh$SSuRW9cgMenUa7c5Rb2tJ0",
    "apr1": "$apr1$abcdefgh$oAF5ptRuk5ChzWRkLTsWm.",
    "sha256-crypt": "{CRYPT}$5$abcdefgh$O17gX5R5FmqpA4w7/cSYpRXDFGLrvIz1iCeV0CAdI48",
    "sha512-crypt": "$6$abcdefgh$aNn6yz.roxCeTUoAZ7ZHcK3g.zSLAJA.Fsnv1fne7j/H3M0Tyo5OItnjhTwXXPRMn0"
    "5llG4ljF6Z8Xt4f75Ht.",
    "LDAP": "{SSHA}8wsQsP0MDpUHqJ0SYax1py+W7LBOYUNs",
    "digest": SHA256,
}
SALT = "AAECAwQFBgcICQoLDA0ODw=="
SHA512_KEY = (
    "2XhSSdy+OEtHdcTacpcvKs0u6JisbFMirLrCrk0nCYAvluYCX5zOtLzdCKDW4jdTjkTnejPfCt98kM6sL9x1TA=="
)
SHA256_KEY = (
    "06GIrMzu+u7+TbVaBrxtVKLq92NKD7tail4M/AHpykPgsrJTPCUE5BO2ZhNRO8eXPG7u2fL23KNqCghEaWm0Uw=="
)
SIGNER = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
FIREBASE = (
    "GZDFOfJ3uswfem6uOpWeW811RIYJTQlV07QcQSwhEnAgdL6nTqh7UGF+OMwuworHSyjv9R6T1w+XhQlHOYEWcw==",
    "42xEC+ixf3L2lw==",
)
ARGON2_SALT, ARGON2_DIGEST = NOTATIONS["argon2"].split("$")[-2:]
PEPPERED = "$2b$04$ls9KTRoshKtbzIvK0UKsGejpbTnCbZe0MMvcLo2cyt5yeisoDJzFK"


def of_firebase(**changes):
    options: dict[str, Any] = {
        "signer_key": SIGNER,
        "salt_separator": "Bw==",
        "rounds": 8,
        "mem_cost": 14,
    }
    return notations.firebase(*FIREBASE, **(options | changes))


def of_keycloak(algorithm="pbkdf2-sha512", value=SHA512_KEY, iterations=1000, salt=SALT, **more):
    credential = {"hashIterations": iterations, "algorithm": algorithm} | more
    return notations.keycloak(json.dumps(credential), json.dumps({"value": value, "salt": salt}))


def of_keycloak_argon2(**changes):
    parameters = {"version": "1.3", "memory": "4096", "parallelism": "1", "type": "id"} | changes
    additional = {name: [value] for name, value in parameters.items()}
    return of_keycloak("argon2", ARGON2_DIGEST, 1, ARGON2_SALT, additionalParameters=additional)


IN_PARTS = {
    "Firebase": of_firebase,
    "Keycloak, SHA-256": lambda: of_keycloak("pbkdf2-sha256", SHA256_KEY),
    "Keycloak, SHA-512": of_keycloak,
    "Keycloak, Argon2": of_keycloak_argon2,
    "Devise": lambda: notations.peppered(PEPPERED, "pepper-of-devise"),
    "ASP.NET Identity 2": lambda: notations.aspnet(
        "AAABAgMEBQYHCAkKCwwNDg+sVms74mMWW522qb4xqMrnEI+AFLCMrzv/v3ZO1iDqDA=="
    ),
    "ASP.NET Identity 3": lambda: notations.aspnet(
        "AQAAAAIAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg/ZeFJJ3L44S0d1xNpyly8qzS7omKxsUyKsusKuTScJgA=="
    ),
    "Clerk, Firebase": lambda: notations.clerk(
        "scrypt_firebase", "$".join([*FIREBASE, SIGNER, "Bw==", "8", "14"])
    ),
    "Clerk, PBKDF2": lambda: notations.clerk(
        "pbkdf2_sha256", f"pbkdf2_sha256$1000${SALT}${SHA256_KEY}"
    ),
    "Clerk, pepper": lambda: notations.clerk("bcrypt_peppered", PEPPERED, "pepper-of-devise"),
    "Clerk, digest": lambda: notations.clerk("sha256", SHA256),
}


def is_exact(stored, typed=TYPED):
    """Return whether ``stored`` is the hash of ``typed`` and of no other password."""
    return passwords.verify(typed, stored) and not passwords.verify(WRONG, stored)


def imported(notation, username="alice"):
    """Return a new user with this hash."""
    user = make_user(username, password=None)
    User.objects.filter(pk=user.pk).update(password=foreign.accept(notation))
    user.refresh_from_db()
    return user


def works(user, typed=TYPED):
    """Return whether a sign-in with ``typed`` succeeds, and read ``user`` again."""
    answer = sign_in(Client(), user.username, typed)
    user.refresh_from_db()
    return answer.status_code == 302

"""Settings of the API and its OpenAPI schema. Calls require credentials by default."""

from typing import Any

from authsite.settings import AUTHSITE, VERSION

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.apikeys.authentication.KeyAuthentication",
        "accounts.tokens.authentication.Authentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.tokens.authentication.InScope"],
    "DEFAULT_PARSER_CLASSES": ["accounts.common.api.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.common.api.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "accounts.calls.lists.Lists",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # OPTIONS requests get no description of the call, because the OpenAPI schema describes it.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "authsite.errors.api_error",
}

# Values that simplejwt requires. The site signs tokens with its own keys, never with SECRET_KEY.
SIMPLE_JWT: dict[str, Any] = {"ALGORITHM": "ES256", "SIGNING_KEY": "", "USER_ID_CLAIM": "sub"}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": f"{AUTHSITE.site_name} API",
    "DESCRIPTION": (
        "Accounts over JSON. Sign up with `users/`, sign in with `token/`, then send the access "
        "token: `Authorization: Bearer …`. It lives for minutes; `token/refresh/` gives the next "
        "one. Any service verifies it with the keys at `/.well-known/jwks.json` alone.\n\n"
        "Errors have a `detail` and a `code`, or sentences by field."
    ),
    "VERSION": VERSION,
    "CONTACT": {"name": AUTHSITE.site_name, "url": f"{AUTHSITE.origin}/help/"},
    "TAGS": [
        {"name": name, "description": description}
        for name, description in {
            "users": "Create an account, and read one.",
            "email": "Confirm the email address of a new account.",
            "token": "Sign in from a program, stay signed in, and sign out.",
            "reauthenticate": "Confirm that it is still the same person.",
            "session": "Sign in from a page in a browser, which never sees the refresh token.",
            "passkeys": "Sign in with a passkey, and add passkeys to your account.",
            "factors": "Your own second factors.",
            "providers": "Your own accounts at other sites that sign in here.",
            "me": "Your own profile.",
            "invitation": "Create an account by invitation.",
            "config": "What this site offers.",
            "login": "Sign in with an emailed code.",
            "password": "Change the password, or reset it by email.",
            "browsers": "The browsers in which you have signed in.",
            "emails": "Your own email addresses.",
            "sessions": "Where you are signed in.",
            "keys": "Your own API keys.",
            **(
                {"apps": "The apps that you sign in to with your account here."}
                if AUTHSITE.openid_provider == "on"
                else {}
            ),
            "admin": "For staff: find users, and help them.",
            "activity": "Your own security history.",
        }.items()
    ],
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": AUTHSITE.origin}],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    # Without ``postprocess_schema_enums``, which gives lists of words names of their own: in a Go
    # client, two of them with an equal word do not compile.
    "POSTPROCESSING_HOOKS": ["accounts.ops.openapi.complete"],
}

# Only scripts of these origins may call the API. Only the calls below ``session/`` read a cookie,
# and these calls check the origin, too.
CORS_ALLOWED_ORIGINS = list(AUTHSITE.cors_origins)
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_METHODS = ["GET", "POST", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = [
    *("authorization", "content-type", "dpop", "x-requested-with", "accept-language"),
    *("idempotency-key", "if-match", "if-none-match"),
]
CORS_EXPOSE_HEADERS = [
    *("retry-after", "www-authenticate", "location", "x-request-id", "dpop-nonce"),
    *("etag", "ratelimit", "ratelimit-policy"),
]
CORS_PREFLIGHT_MAX_AGE = 600

"""Settings of the user model, passwords and external providers.

allauth is used only for the external providers.
"""

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.signin.backends.LoadOnlyBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"

PASSWORD_HASHERS = [
    "accounts.passwords.hashers.Argon2id",
    # For the hashes of imported accounts, which are replaced at the next sign-in.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "accounts.passwords.validators.CompromisedPasswordValidator"},
    {"NAME": "accounts.passwords.validators.SiteWordsValidator"},
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
]

ACCOUNT_ADAPTER = "accounts.social.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
# With a cache in the database, allauth's rate limits take 83 statements per sign-in and lose
# counts. The site has its own limits in ``accounts.throttle``.
ACCOUNT_RATE_LIMITS = False
# Providers and their credentials come from the site's own settings: see ``accounts.social``.
SOCIALACCOUNT_ADAPTER = "accounts.social.adapter.SocialAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    # The newest version of the API: developers.facebook.com/docs/graph-api/changelog
    "facebook": {"VERSION": "v26.0", "FIELDS": ["id", "name", "email"]},
    "twitter_oauth2": {"FIELDS": ["id", "name", "username"]},
}

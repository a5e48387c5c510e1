"""Settings: the installed apps, and the middleware in the order in which requests pass it."""

from authsite.settings.site import AUTHSITE

INSTALLED_APPS = [
    "accounts.apps.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "authsite.static.Files",
    "django.forms",
    # Installed for their translations and static files.
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "accounts.apps.AccountsConfig",
    "accounts.administration",
    "accounts.webhooks",
    *(["accounts.oauth"] if AUTHSITE.openid_provider == "on" else []),
]

MIDDLEWARE = [
    # Outermost, so that every request has an id and a log line.
    "authsite.serving.access_log.RequestMiddleware",
    # Adds headers to every response, including those of the middleware below.
    "authsite.middleware.HeadersMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "authsite.middleware.BodyMiddleware",
    # Finds the client's IP address and scheme.
    "authsite.middleware.ClientMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Before the middleware that refuses API calls, so that scripts can read the refusals.
    "corsheaders.middleware.CorsMiddleware",
    "authsite.middleware.PublicCorsMiddleware",
    "authsite.middleware.GateMiddleware",
    "authsite.middleware.CombinedMailsMiddleware",
    # API calls end here. The middleware below is for browsers.
    "authsite.middleware.ApiMiddleware",
    "authsite.static.Middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.sessions.current.AuthenticationMiddleware",
    # From here on, error pages are in the user's language.
    "authsite.middleware.LocaleMiddleware",
    # Every view requires sign-in unless it is marked as public.
    "accounts.sessions.current.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "authsite.middleware.PublicErrorMiddleware",
]

ROOT_URLCONF = "authsite.urls"
WSGI_APPLICATION = "authsite.wsgi.application"

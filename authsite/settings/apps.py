"""What is installed, and the way of a request through it."""

INSTALLED_APPS = [
    "accounts.apps.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "authsite.static.Files",
    "django.forms",
    # For their translations and static files.
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "accounts.apps.AccountsConfig",
]

MIDDLEWARE = [
    # Outermost of all: each request's id and line.
    "authsite.serving.access_log.RequestMiddleware",
    # Their headers are on every answer, whoever gives it.
    "authsite.middleware.HeadersMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "authsite.middleware.BodyMiddleware",
    # Who asks, and how; then whether it's a request for this site at all.
    "authsite.middleware.ClientMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Which pages elsewhere may call the API by script; they may read why a call was refused, too.
    "corsheaders.middleware.CorsMiddleware",
    "authsite.middleware.GateMiddleware",
    # Programs' calls end here: what is below is for people's browsers.
    "authsite.middleware.ApiMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.sessions.middleware.AuthenticationMiddleware",
    # Whatever refuses from here on does so in the person's language.
    "authsite.middleware.LocaleMiddleware",
    # Closed unless opened: a view that strangers may see says so itself.
    "accounts.sessions.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "authsite.middleware.PublicErrorMiddleware",
]

ROOT_URLCONF = "authsite.urls"
WSGI_APPLICATION = "authsite.wsgi.application"

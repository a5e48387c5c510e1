"""The problems that ``doctor`` can find, each with a description and advice."""

from dataclasses import dataclass

# By code: the problem, and the advice.
WORDS = {
    "development": (
        "ENVIRONMENT is development, which has features that are unsafe on a public site.",
        "Set ENVIRONMENT=production for the site and for manage.py.",
    ),
    "limits_scaled": (
        "LIMITS_SCALE is {0}, so guesses are limited less or more than they should be.",
        "Remove LIMITS_SCALE: it is for load tests.",
    ),
    "setting_unknown": (
        "The environment variable {0} is no setting of this site, so it has no effect here.",
        "Did you mean {1}? docs/settings.md lists the settings. If no program reads it, remove it.",
    ),
    "data_undeclared": (
        "Nobody has declared the personal data in {0}, so exports leave it out.",
        "Declare it, as docs/your-app.md says.",
    ),
    "secret_file_open": (
        "Every user of this machine can read {0}.",
        "chmod o= {0}. If strangers have accounts here, change the secrets: docs/operating.md.",
    ),
    "database_down": (
        "The database does not answer ({0}).",
        "Start it, and check DATABASE_URL.",
    ),
    "migrations_missing": (
        "{0} migrations are not applied.",
        "Run: python manage.py migrate",
    ),
    "provider_left": (
        "OPENID_PROVIDER is off, but the database still has the tables of the OpenID Provider, "
        "which refer to users and sessions. Therefore these cannot be deleted.",
        "Set OPENID_PROVIDER=on, run: python manage.py migrate oauth zero. Then set it to off.",
    ),
    "database_role": (
        "The database role {0} is a superuser or may make roles, which the site does not need.",
        "Let another role own the database, or: ALTER ROLE {0} NOSUPERUSER NOCREATEROLE",
    ),
    "database_clock": (
        "The clocks of this machine and the database differ by {0} seconds.",
        "Run NTP on both. Codes of authenticator apps are refused where the clock is wrong.",
    ),
    "redis_down": (
        "Redis does not answer or stores nothing. Each node counts limits in the database.",
        "Start it, and check REDIS_URL and the memory of Redis.",
    ),
    "redis_evicts": (
        "Redis deletes keys if its memory is full, so whoever fills it can guess without limits.",
        "Set maxmemory-policy noeviction. The database counts limits if the memory is full.",
    ),
    "redis_shared": (
        "Another program uses the same database of Redis. If it deletes all keys, limits are gone.",
        "Give the site a database of its own: REDIS_URL ends with its number.",
    ),
    "database_read_only": (
        "The database can only be read: {0}.",
        "Let DATABASE_URL lead to the primary server, and end default_transaction_read_only.",
    ),
    "commits_unsafe": (
        "synchronous_commit is off: a crash of the database loses sign-outs and new passwords.",
        "ALTER ROLE {0} SET synchronous_commit = on",
    ),
    "connections_few": (
        "The {0} of PostgreSQL allows {1} connections, but {2} nodes may open {3}.",
        "Raise the limit: ALTER ROLE or ALTER DATABASE … CONNECTION LIMIT, or max_connections.",
    ),
    "replication_late": (
        "A standby server is {0} seconds behind. A failover would lose that time.",
        "Look at pg_stat_replication, and at the disk and network of the standby server.",
    ),
    "mail_down": (
        "The mail server cannot be used ({0}).",
        "Check EMAIL_URL, then run: python manage.py send_test_mail ADDRESS",
    ),
    "mail_refused": (
        "The mail server refuses emails from {0} to {1} (status {2}).",
        "Let it relay emails of the site to everybody, or set MAIL_FROM to a sender it accepts.",
    ),
    "mail_files": (
        "Emails are written to files and reach nobody.",
        "Set EMAIL_URL to a mail server: smtp:// or smtps://",
    ),
    "mail_late": (
        "An email has waited for {0} minutes.",
        "The log says why emails are not sent. A server process must run.",
    ),
    "static_missing": (
        "The static files are not collected, so browsers cache them for only a minute.",
        "Run: python manage.py collectstatic --noinput, then restart the site.",
    ),
    "signing_key_unreadable": (
        "The signing key cannot be decrypted, so nobody gets access tokens.",
        "Restore the value of ENCRYPTION_KEYS, or run: python manage.py rotate_signing_key --now",
    ),
    "secrets_unreadable": (
        "No key of ENCRYPTION_KEYS decrypts some of the stored {0}.",
        "Restore the lost value of ENCRYPTION_KEYS. docs/operating.md says what to do without it.",
    ),
    "signing_key_old": (
        "The signing key is {0} days old.",
        "Set SIGNING_KEY_DAYS, or run: python manage.py rotate_signing_key",
    ),
    "staff_without_factor": (
        "{0} of the staff have no second factor: {1}",
        "They add one at the next sign-in, or get a link: python manage.py enrolment_link USER",
    ),
    "apps_in_development": (
        "{0} of the apps are in development: {1}",
        "Disable an app that nobody develops any more: python manage.py disable_client CLIENT_ID",
    ),
    "no_owner": (
        "No active account has superuser rights.",
        "Run: python manage.py create_owner",
    ),
    "hashes_weak": (
        "The password hashes of {0} imported accounts are weak: only ENCRYPTION_KEYS protect them.",
        "Run: python manage.py rehash",
    ),
    "prune_late": (
        "Rows that expired more than two days ago are still there: the daily job does not run.",
        "Run python manage.py prune once a day (deploy/systemd has a timer).",
    ),
    "backup_old": (
        "No backup was made in the last {0} days.",
        "Back up daily (deploy/systemd has a timer), or set BACKUP_DAYS=0 if another program does.",
    ),
    "backup_unverified": (
        "No backup was verified in the last {0} days.",
        "Run daily: python manage.py backup FOLDER --verify (deploy/systemd has a timer).",
    ),
    "backup_refused": (
        "The last verification of a backup failed.",
        "Run: python manage.py backup FOLDER --verify. It says why.",
    ),
    "disk_full": (
        "Only {0} MB are free on the disk of {1}.",
        "Make room, or move DATA_DIR: without space nobody can sign in.",
    ),
    "unreachable": (
        "{0} does not answer ({1}).",
        "Is the site running, and do the name, the port in ORIGIN and the firewall lead to it?",
    ),
    "origin_port": (
        "{0} does not answer, but the site does at port {1}, so links in emails lead nowhere.",
        "Correct the port in ORIGIN, or let the proxy listen there.",
    ),
    "tls_untrusted": (
        "Browsers do not trust the certificate: {0}.",
        "Serve the certificate for this name first, then the intermediate certificates.",
    ),
    "tls_expires": (
        "The certificate expires in {0} days.",
        "Renew it, and find out why the ACME client has not renewed it.",
    ),
    "tls_old": (
        "The server accepts TLS 1.0 or 1.1.",
        "Allow TLS 1.2 and 1.3 only, as the files of deploy/ do.",
    ),
    "redirect_missing": (
        "Plain HTTP does not redirect to {0}: {1}.",
        "Let the proxy, or REDIRECT_PORT, redirect port 80 to ORIGIN.",
    ),
    "redirect_host": (
        "Plain HTTP redirects to any host that a client names in the Host header.",
        "Redirect to ORIGIN, and not to the Host header.",
    ),
    "hsts": (
        "Strict-Transport-Security is missing or shorter than half a year.",
        "Let the proxy pass the header on: the site sends it.",
    ),
    "headers": (
        "These headers are missing or changed: {0}.",
        "Let the proxy pass them on: the site sends them.",
    ),
    "server_named": (
        "The header Server names the software: {0}.",
        "Let the proxy send the site's own, as the files of deploy/ do.",
    ),
    "cookies": (
        "The cookie {0} is not bound to this host: it lacks {1}.",
        "Let the proxy pass Set-Cookie on unchanged.",
    ),
    "cached": (
        "A cache answers for the site: two visitors got the same page, with the same cookie.",
        "Let the proxy and the CDN store only what Cache-Control allows.",
    ),
    "compressed": (
        "Pages are compressed on the way, which can reveal secrets in them (BREACH).",
        "Switch compression off in the proxy. The site compresses static files itself.",
    ),
    "probe_refused": (
        "{0} refused the request of doctor (status {1}).",
        "Run doctor with the settings of the site, above all SECRET_KEY, and the same version.",
    ),
    "proxy_untrusted": (
        "The site takes every visitor for {0}, so one person can use up the limits of all.",
        "Put the address from which the proxy connects into TRUSTED_PROXIES.",
    ),
    "client_forged": (
        "Clients can choose the IP address that the site sees, and so evade every limit.",
        "Let the proxy set X-Forwarded-For itself, and drop headers with an underscore.",
    ),
    "scheme": (
        "The site takes HTTPS requests for plain HTTP, and redirects them in a loop.",
        "Let the proxy set X-Forwarded-Proto to https, and put it into TRUSTED_PROXIES.",
    ),
    "bodies_unbuffered": (
        "The proxy passes bodies on before they are complete, so slow clients occupy the site.",
        "Switch on buffering of requests in the proxy.",
    ),
    "descriptors": (
        "The server can open only {0} files at once, connections included.",
        "Set LimitNOFILE=65536, as deploy/systemd does.",
    ),
    "static_broken": (
        "A page refers to {0}, which has the status {1}.",
        "Run collectstatic on every node, and let the proxy pass /static/ on.",
    ),
    "check_failed": (
        "The check of {0} failed ({1}).",
        "Run doctor again. If the check still fails, report it with the log.",
    ),
}


@dataclass(frozen=True)
class Finding:
    """A problem. ``facts`` are the values in the sentence and the advice."""

    code: str
    facts: tuple[object, ...] = ()

    @property
    def sentence(self) -> str:
        """The description of the problem, with the values that ``doctor`` has found."""
        return WORDS[self.code][0].format(*self.facts)

    @property
    def advice(self) -> str:
        """The advice to the operator, with the values that ``doctor`` has found."""
        return WORDS[self.code][1].format(*self.facts)


def found(code: str, *facts: object) -> Finding:
    """Return the finding with this ``code`` of :data:`WORDS`. ``facts``: values for its texts."""
    return Finding(code, facts)

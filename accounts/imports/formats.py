"""The formats of other systems and of this site's own exports.

Each function takes a record and returns a person. The sources are the systems' documentation of
November 2026. ``authsite`` reads the files of ``export_users`` (``accounts.exports.people``).
"""

import hmac
import json
import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, BinaryIO
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from accounts.deletion.erasure import log_file, read_log
from accounts.exports.people import FORMAT, PARTS, VERSION
from accounts.imports import django
from accounts.imports.files import Record, Records, csv_rows, json_lines, json_list
from accounts.imports.parts import (
    BadRow,
    FoundEmail,
    FoundPerson,
    FoundRow,
    Options,
    Rows,
    add_app,
    add_identity,
    add_passkey,
    emails,
    set_password,
    split,
)
from accounts.imports.portions import MOST_CODES
from accounts.passwords import foreign, notations
from accounts.twofactor.models import seal_digests
from accounts.twofactor.webauthn import rp_id
from accounts.users.models import LOCKED, locked_password

COLUMNS = (
    *("about", "time_zone", "last_login", "password_at", "emailed_codes", "updated_at"),
    *("deletion_due", "given_name", "family_name"),
)
DIGEST = re.compile("[0-9a-f]{64}")
# Members of an account whose rows are stored without changes.
OWN_ROWS = ("terms", "providers", "consents", "app_subjects")


def authsite(file: BinaryIO, _options: Options) -> Rows:
    """Yield the people in ``file``, which ``export_users`` has written.

    Raises:
        BadRow: the file is not an export of this site's program, or of a newer release.
    """
    lines = json_lines(file)
    head = next(lines, None)
    is_known = isinstance(head, Record) and head.members.get("format") == FORMAT
    if not (is_known and isinstance(head, Record) and head.members.get("version") == VERSION):
        raise BadRow(f"The file is not an export of users in version {VERSION}.")
    options = Options(keeps_passkeys=head.text("passkey_domain") == rp_id())
    erased = set(read_log(log_file())) if log_file().exists() else set()
    for line in lines:
        try:
            person = line if isinstance(line, BadRow) else _person(line, options)
            if isinstance(person, FoundPerson) and person.id in erased:
                raise BadRow("The account was deleted here.")
            yield person
        except BadRow as error:
            yield error


def _person(record: Record, options: Options) -> FoundPerson:
    primary = record.text("email")
    addresses = [
        FoundEmail(row.text("email"), True, row.time("confirmed_at"), row.time("vouched_at"))
        for row in record.records("emails")
    ]
    person = FoundPerson(
        id=_id(record.text("id")),
        username=record.text("username"),
        emails=sorted(addresses, key=lambda row: row.email != primary),
        display_name=record.text("display_name"),
        language=record.text("language"),
        joined=record.time("date_joined"),
        is_active=record.flag("is_active", default=True),
        groups=record.texts("groups"),
        columns=_columns(record, COLUMNS),
    )
    if record.flag("is_staff") or record.items("permissions", str):
        person.notes.append("The rights of staff are left out.")
    _set_password(person, record.text("password"))
    for name in OWN_ROWS:
        rows = record.records(name)
        person.rows += [FoundRow(PARTS[name].label, _columns(r, PARTS[name].columns)) for r in rows]
    for row in record.records("passkeys"):
        texts: dict[str, Any] = {
            name: row.text(name) for name in ("credential_id", "public_key", "aaguid")
        }
        texts["transports"] = row.texts("transports")
        columns = _columns(row, PARTS["passkeys"].columns) | texts
        add_passkey(person, columns, options)
    for row in record.records("totp"):
        names = ("name", "last_t", "made_at", "used_at")
        person.seeds[row.text("seed")] = _columns(row, names)
    for row in record.records("recovery_codes"):
        person.rows.append(FoundRow(PARTS["recovery_codes"].label, _recovery_codes(row)))
    return person


def _recovery_codes(row: Record) -> dict[str, Any]:
    digests = row.texts("digests")
    if len(digests) > MOST_CODES or not all(map(DIGEST.fullmatch, digests)):
        raise BadRow("The recovery codes are damaged, or there are too many.")
    sealed = seal_digests(row.text("salt"), digests)
    return _columns(row, ("name", "made_at", "saved_at")) | {"sealed": sealed}


def _columns(record: Record, names: Any) -> dict[str, Any]:
    """Return these members, without missing ones. All of them must be simple values."""
    columns = {name: record.members[name] for name in names if name in record.members}
    for name in columns:
        if name.endswith(("_at", "_due", "_login", "since")):
            columns[name] = record.time(name)
        elif name != "transports":
            record.text(name)
    return columns


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadRow("The id is not a UUID.") from None


def _set_password(person: FoundPerson, password: str) -> None:
    encoded = password.removeprefix(LOCKED)
    try:
        person.password = foreign.accept_portable(encoded) if encoded[:1] not in {"", "!"} else ""
    except ValueError as error:
        person.notes.append(f"The password is left out: {error}.")
    if password.startswith(LOCKED):
        person.password = locked_password(person.password or None)


def auth0(record: Record, _options: Options) -> FoundPerson:
    """Return a person of Auth0's exports of users and of password hashes (NDJSON)."""
    person = FoundPerson(
        username=record.text("username", "nickname"),
        emails=emails(record.text("email"), record.flag("email_verified")),
        display_name=record.text("name"),
        joined=record.time("created_at"),
        is_active=not record.flag("blocked"),
    )
    set_password(person, record.text("passwordHash", "password_hash"))
    add_app(person, record.text("otp_secret"))
    for identity in record.records("identities"):
        if identity.text("provider") != "auth0":
            add_identity(person, identity.text("provider"), identity.text("user_id"))
    return person


def clerk(record: Record, options: Options) -> FoundPerson:
    """Return a person of Clerk's CSV export."""
    names = (record.text("first_name"), record.text("last_name"))
    primary = record.text("primary_email_address")
    verified = split(record.text("verified_email_addresses"), "|")
    unverified = split(record.text("unverified_email_addresses"), "|")
    ordered = sorted((*verified, *unverified), key=lambda email: email != primary)
    person = FoundPerson(
        username=record.text("username"),
        emails=[FoundEmail(email, email in verified) for email in ordered],
        display_name=" ".join(filter(None, names)),
    )
    if digest := record.text("password_digest"):
        hasher = record.text("password_hasher")
        set_password(person, lambda: notations.clerk(hasher, digest, options.pepper))
    add_app(person, record.text("totp_secret"))
    return person


def supabase(record: Record, _options: Options) -> FoundPerson:
    """Return a person of Supabase's table ``auth.users``, as CSV.

    The column ``provider_id`` is from ``auth.identities``, because people can write anything into
    ``raw_user_meta_data``. ``totp_secrets`` are from ``auth.mfa_factors``.
    """
    profile = record.record("raw_user_meta_data")
    person = FoundPerson(
        username=profile.text("user_name", "preferred_username"),
        emails=emails(record.text("email"), bool(record.text("email_confirmed_at"))),
        display_name=profile.text("full_name", "name"),
        joined=record.time("created_at"),
        is_active=not record.text("banned_until") and not record.text("deleted_at"),
    )
    set_password(person, record.text("encrypted_password"))
    for secret in split(record.text("totp_secrets"), " "):
        add_app(person, secret)
    provider = record.record("raw_app_meta_data").text("provider")
    if provider != "email":
        add_identity(person, provider, record.text("provider_id"))
    return person


def firebase(record: Record, options: Options) -> FoundPerson:
    """Return a person of ``firebase auth:export`` (JSON)."""
    person = FoundPerson(
        emails=emails(record.text("email"), record.flag("emailVerified")),
        display_name=record.text("displayName"),
        joined=record.time("createdAt"),
        is_active=not record.flag("disabled"),
    )
    if digest := record.text("passwordHash"):
        if not options.signer_key:
            raise BadRow("A hash of Firebase needs --signer-key and its other parameters.")
        salt = record.text("salt")
        set_password(
            person,
            lambda: notations.firebase(
                _standard(digest),
                _standard(salt),
                signer_key=options.signer_key,
                salt_separator=options.salt_separator,
                rounds=options.rounds,
                mem_cost=options.mem_cost,
            ),
        )
    for provider in record.records("providerUserInfo"):
        add_identity(person, provider.text("providerId"), provider.text("rawId"))
    return person


def wordpress(record: Record, _options: Options) -> FoundPerson:
    """Return a person of WordPress's table ``wp_users``, as CSV. Addresses are unverified there."""
    person = FoundPerson(
        username=record.text("user_login"),
        emails=emails(record.text("user_email"), False),
        display_name=record.text("display_name"),
        joined=record.time("user_registered"),
    )
    set_password(person, record.text("user_pass"))
    return person


def laravel(record: Record, options: Options) -> FoundPerson:
    """Return a person of Laravel's table ``users``, with Fortify's second factors, as CSV."""
    person = FoundPerson(
        username=record.text("username"),
        emails=emails(record.text("email"), bool(record.text("email_verified_at"))),
        display_name=record.text("name"),
        joined=record.time("created_at"),
    )
    set_password(person, record.text("password"))
    try:
        _add_fortify_factors(person, record, options)
    except (ValueError, BadRow) as error:
        person.notes.append(f"The second factors are left out: {str(error).rstrip('.')}.")
    return person


def _add_fortify_factors(person: FoundPerson, record: Record, options: Options) -> None:
    sealed, confirmed_at = record.text("two_factor_secret"), "two_factor_confirmed_at"
    if not sealed:
        return
    if confirmed_at in record.members and not record.text(confirmed_at):
        raise ValueError("the authenticator app was never confirmed")
    if not options.app_key:
        raise ValueError("--app-key decrypts them")
    add_app(person, _decrypted(sealed, options.app_key))
    if codes := record.text("two_factor_recovery_codes"):
        found = Record({"codes": json.loads(_decrypted(codes, options.app_key))})
        person.recovery_codes = found.texts("codes")


# The result of PHP's ``serialize`` for a text.
_SERIALIZED = re.compile(rb's:\d+:"(.*)";', re.DOTALL)


def _decrypted(sealed: str, app_key: str) -> str:
    """Decrypt a text that Laravel's ``encrypt`` has encrypted.

    The cipher is AES-256-CBC, Laravel's default.

    Raises:
        ValueError: ``app_key`` is another key, or ``sealed`` has another form.
        BadRow: ``sealed`` does not contain a JSON object.
    """
    key = b64decode(app_key.removeprefix("base64:"), validate=True)
    payload = Record({"payload": b64decode(sealed).decode()}).record("payload")
    iv, value = payload.text("iv").encode(), payload.text("value").encode()
    mac = hmac.new(key, iv + value, sha256).hexdigest()
    if not hmac.compare_digest(mac.encode(), payload.text("mac").encode()):
        raise ValueError("APP_KEY is another one")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(b64decode(iv))).decryptor()
    unpadder = PKCS7(algorithms.AES.block_size).unpadder()
    clear = unpadder.update(decryptor.update(b64decode(value)) + decryptor.finalize())
    found = _SERIALIZED.fullmatch(clear + unpadder.finalize())
    if found is None:
        raise ValueError("the value is no text")
    return found[1].decode()


def rails(record: Record, options: Options) -> FoundPerson:
    """Return a person of the users table of Devise, as CSV."""
    person = FoundPerson(
        username=record.text("username"),
        emails=emails(record.text("email"), bool(record.text("confirmed_at"))),
        display_name=record.text("name"),
        joined=record.time("created_at"),
        is_active=not record.text("locked_at"),
    )
    digest = record.text("encrypted_password")
    if digest and options.pepper:
        set_password(person, lambda: notations.peppered(digest, options.pepper))
    else:
        set_password(person, digest)
    add_app(person, record.text("otp_secret"))
    return person


def aspnet(record: Record, _options: Options) -> FoundPerson:
    """Return a person of the table ``AspNetUsers`` of ASP.NET Identity 2 or 3, as CSV.

    The columns ``AuthenticatorKey`` and ``RecoveryCodes`` are the tokens of these names in
    ``AspNetUserTokens``.
    """
    person = FoundPerson(
        username=record.text("UserName"),
        emails=emails(record.text("Email"), record.flag("EmailConfirmed")),
    )
    if digest := record.text("PasswordHash"):
        set_password(person, lambda: notations.aspnet(digest))
    if record.flag("TwoFactorEnabled"):
        add_app(person, record.text("AuthenticatorKey"))
        person.recovery_codes = split(record.text("RecoveryCodes"), ";")
    return person


def plain(record: Record, _options: Options) -> FoundPerson:
    """Return a person of a CSV file with the columns of this site."""
    person = FoundPerson(
        username=record.text("username"),
        emails=emails(record.text("email"), record.flag("email_verified")),
        display_name=record.text("display_name"),
        language=record.text("language"),
        joined=record.time("joined"),
        is_active=record.flag("is_active", default=True),
        groups=split(record.text("groups"), ";"),
        recovery_codes=split(record.text("recovery_codes"), ";"),
    )
    set_password(person, record.text("password_hash"))
    add_app(person, record.text("totp_secret"))
    return person


def keycloak(record: Record, options: Options) -> FoundPerson:
    """Return a person of Keycloak's export of a realm (JSON). Roles of the realm become groups."""
    groups = [path.rsplit("/", 1)[-1] for path in record.texts("groups")]
    names = (record.text("firstName"), record.text("lastName"))
    person = FoundPerson(
        username=record.text("username"),
        emails=emails(record.text("email"), record.flag("emailVerified")),
        display_name=" ".join(filter(None, names)),
        joined=record.time("createdTimestamp"),
        is_active=record.flag("enabled", default=True),
        groups=[*groups, *(r for r in record.texts("realmRoles") if not _is_builtin(r))],
    )
    for credential in record.records("credentials"):
        add = _KEYCLOAK.get(credential.text("type"))
        if add:
            add(person, credential, options)
        else:
            person.notes.append(f"A credential {credential.text('type')!r} is left out.")
    for identity in record.records("federatedIdentities"):
        add_identity(person, identity.text("identityProvider"), identity.text("userId"))
    return person


def _is_builtin(role: str) -> bool:
    return role in {"offline_access", "uma_authorization"} or role.startswith("default-roles-")


def _add_keycloak_password(person: FoundPerson, credential: Record, _options: Options) -> None:
    data, secret = credential.text("credentialData"), credential.text("secretData")
    # The call refuses credentials that are not objects with simple members.
    credential.record("credentialData").text("algorithm")
    credential.record("secretData")
    set_password(person, lambda: notations.keycloak(data, secret))


def _add_keycloak_app(person: FoundPerson, credential: Record, _options: Options) -> None:
    data, secret = credential.record("credentialData"), credential.record("secretData")
    kind = (data.text("subType"), data.text("digits"), data.text("period"), data.text("algorithm"))
    if kind != ("totp", "6", "30", "HmacSHA1"):
        person.notes.append("An authenticator app is left out: it is not TOTP with SHA-1, 6, 30 s.")
    elif data.text("secretEncoding") == "BASE32":
        add_app(person, secret.text("value"), credential.text("userLabel"))
    elif value := secret.text("value"):
        # Keycloak uses the characters of the text as the secret.
        person.seeds[value.encode().hex()] = {"name": credential.text("userLabel")}


def _add_keycloak_passkey(person: FoundPerson, credential: Record, options: Options) -> None:
    data = credential.record("credentialData")
    columns = {
        "credential_id": _url_safe(data.text("credentialId")),
        "public_key": _url_safe(data.text("credentialPublicKey")),
        "name": credential.text("userLabel"),
        "sign_count": data.number("counter"),
        "aaguid": data.text("aaguid"),
        "transports": [name.lower() for name in data.texts("transports")],
        # Keycloak does not export this, so the first use of the passkey shows it.
        "is_eligible": None,
        "is_synced": False,
    }
    add_passkey(person, columns, options)


_KEYCLOAK: dict[str, Callable[[FoundPerson, Record, Options], None]] = {
    "password": _add_keycloak_password,
    "otp": _add_keycloak_app,
    "webauthn": _add_keycloak_passkey,
    "webauthn-passwordless": _add_keycloak_passkey,
}


def _standard(text: str) -> str:
    """Convert base64url to base64."""
    return text.replace("-", "+").replace("_", "/")


def _url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_").rstrip("=")


type _Person = Callable[[Record, Options], FoundPerson]
type _Read = Callable[[BinaryIO, Options], Rows]


def _rows(records: Records, person: _Person, options: Options) -> Rows:
    for record in records:
        try:
            yield record if isinstance(record, BadRow) else person(record, options)
        except BadRow as error:
            yield error


def _csv(person: _Person) -> _Read:
    return lambda file, options: _rows(csv_rows(file, options.columns), person, options)


def _users(person: _Person) -> _Read:
    return lambda file, options: _rows(json_list(file, "users"), person, options)


# For each format: a function that yields the people of a file, and raises ``BadRow`` if the file
# has another format.
FORMATS: dict[str, _Read] = {
    "authsite": authsite,
    "django": django.read,
    "keycloak": _users(keycloak),
    "auth0": lambda file, options: _rows(json_lines(file), auth0, options),
    "clerk": _csv(clerk),
    "supabase": _csv(supabase),
    "firebase": _users(firebase),
    "wordpress": _csv(wordpress),
    "laravel": _csv(laravel),
    "rails": _csv(rails),
    "aspnet": _csv(aspnet),
    "csv": _csv(plain),
}

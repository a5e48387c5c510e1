"""Creates a certificate authority for this machine, and a TLS certificate for the local site.

It is safe to trust the authority in a browser, because it is constrained (RFC 5280 section
4.2.1.10) to names below ``localhost`` and to loopback addresses. A thief of its key cannot make a
valid certificate for any other site.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from accounts.common import clock

CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
# A certificate is renewed when a third of its lifetime is left, as is usual with ACME.
RENEWED_BEFORE = timedelta(days=30)
SLOW_CLOCKS = timedelta(hours=1)
PERMITTED: list[x509.GeneralName] = [
    x509.DNSName("localhost"),
    x509.IPAddress(ip_network("127.0.0.0/8")),
    x509.IPAddress(ip_network("::1/128")),
]


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, and the files that contain them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path
    key_file: Path

    @property
    def left(self) -> timedelta:
        """The time until the certificate expires."""
        return self.certificate.not_valid_after_utc - clock.now()


def issued(folder: Path, names: Sequence[str]) -> tuple[Path, Issued]:
    """Return the path of the authority's certificate, and a certificate for ``names``.

    Both certificates are stored in ``folder``. A certificate that is missing, or that expires soon,
    is created again.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _read(folder, "ca")
    if authority is None or authority.left < LIFE:
        authority = _make_authority(folder)
    site = _read(folder, "site")
    if site is None or site.left < RENEWED_BEFORE or not _fits(site, authority, names):
        site = _make_certificate(folder, authority, names)
    return authority.file, site


def _fits(site: Issued, authority: Issued, names: Sequence[str]) -> bool:
    extension = site.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    try:
        site.certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError):
        return False
    return list(extension.value) == _general(names)


def _make_authority(folder: Path) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authsite on this machine")])
    builder = (
        _builder(name, key, CA_LIFE)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(PERMITTED, None), critical=True)
    )
    return _write(folder, "ca", builder.sign(key, hashes.SHA256()), key)


def _make_certificate(folder: Path, authority: Issued, names: Sequence[str]) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = authority.certificate
    known = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key, LIFE)
        .issuer_name(ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Critical only in certificates without a subject (RFC 5280 section 4.2.1.6). Some clients
        # enforce this.
        .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False
        )
    )
    return _write(folder, "site", builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - SLOW_CLOCKS)
        .not_valid_after(clock.now() + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    return [
        x509.IPAddress(ip_address(name)) if name[-1].isdigit() else x509.DNSName(name)
        for name in names
    ]


def _read(folder: Path, name: str) -> Issued | None:
    """Return the stored certificate and its key, or None if they are missing or do not match."""
    file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    return Issued(certificate, key, file, key_file)


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Issued:
    file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace(key_file, secret, 0o600)
    _replace(file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Issued(certificate, key, file, key_file)


def _replace(file: Path, content: bytes, mode: int) -> None:
    """Replace ``file`` in one step. It is never readable by more users than ``mode`` allows."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.touch(mode=mode)
    draft.write_bytes(content)
    draft.replace(file)

"""Server certificates for the simulated servers: a good one, and the ways in which one can be bad."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KINDS = ("good", "wrong-host", "expired", "self-signed", "other-ca")
NAMES = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """A certificate authority of our own in a directory of its own; `ca_file` is what clients shall trust."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="klv-sim-tls-")
        self.path = Path(self._directory.name)
        self.ca = trustme.CA()
        self.ca_file = str(self.path / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)

    def __enter__(self) -> "Certificates":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directory.cleanup()

    def files(self, kind: str = "good") -> tuple[str, str]:
        """Paths of (certificate chain, private key), made at the first call."""
        if kind not in KINDS:
            raise ValueError(f"certificate {kind!r}: one of {KINDS}")
        cert, key = self.path / f"{kind}.pem", self.path / f"{kind}.key"
        if not cert.exists():
            self._issue(kind, cert, key)
        return str(cert), str(key)

    def context(self, kind: str = "good", minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
        """A server's TLS settings with that certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = minimum
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self.files(kind))
        return context

    def _issue(self, kind: str, cert: Path, key: Path) -> None:
        if kind == "self-signed":
            _self_signed(cert, key)
            return
        authority = trustme.CA() if kind == "other-ca" else self.ca
        names = ("elsewhere.example",) if kind == "wrong-host" else NAMES
        expired = datetime.datetime(2020, 1, 1)
        leaf = authority.issue_cert(*names, not_after=expired) if kind == "expired" else authority.issue_cert(*names)
        for i, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(str(cert), append=i > 0)
        leaf.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)


def _self_signed(cert: Path, key: Path) -> None:
    private, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
              .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
              .not_valid_after(now + datetime.timedelta(days=30)).add_extension(names, critical=False)
              .sign(private, hashes.SHA256()))
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))
    key.chmod(0o600)

"""Certificates and tokens for an accelerator that is reached over a network: made by `openssl`, explained to whoever asked.

    ca.key -> ca.pem (whom clients trust)      NAME.key -> NAME.pem, signed by it (what the accelerator shows)

A folder that has an authority already signs with that one: clients of several accelerators then need one file.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from container import commands
from container.errors import ContainerError

DAYS = 825
"""The longest that some platforms take a server's certificate for."""
TOKEN_BYTES = 32
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
INSTALL = "install it (Debian: apt-get install openssl), or bring a certificate of your own"


@dataclass(frozen=True)
class Certificate:
    """The files of one accelerator's certificate."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """All of them."""
        return self.ca, self.certificate, self.key

    @property
    def explanation(self) -> str:
        """What each file is for."""
        return (
            f"{self.certificate} and {self.key} are the accelerator's: ei accelerator serve --tls-cert {self.certificate} "
            f"--tls-key {self.key} --token-file TOKEN\n"
            f"{self.ca} is for its clients: EI_ACCELERATOR_CA={self.ca} (or ei accelerator attach --ca {self.ca})\n"
            f"{self.ca.with_suffix('.key')} signs further accelerators' certificates; keep it to yourself"
        )


def make(name: str, folder: Path) -> Certificate:
    """A certificate that names this host (and localhost), by the folder's authority; ContainerError where openssl cannot."""
    if not name or "/" in name or any(c.isspace() or c == "," for c in name):
        raise ContainerError(f"{name!r} is no host's name", "name the host as clients will: ei accelerator certificate HOST")
    if shutil.which("openssl") is None:
        raise ContainerError("there is no openssl command here", INSTALL)
    folder.mkdir(parents=True, exist_ok=True)
    authority = folder / "ca.pem", folder / "ca.key"
    if not all(file.is_file() for file in authority):
        rights = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        _sign("ei accelerators", rights, authority, authority)
    own = folder / f"{name}.pem", folder / f"{name}.key"
    rights = f"subjectAltName={subjects(name)}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
    _sign(name[:64], rights + "authorityKeyIdentifier=keyid\n", own, authority)
    return Certificate(authority[0], *own)


def _sign(name: str, extensions: str, made: tuple[Path, Path], authority: tuple[Path, Path]) -> None:
    """A new key, and its certificate by the authority, which may be itself. Whatever openssl's own configuration adds is left out."""
    certificate, key = made
    write_private(key)
    by = ("-signkey", key) if made == authority else ("-CA", authority[0], "-CAkey", authority[1])
    with tempfile.TemporaryDirectory() as scratch:
        request, wanted = Path(scratch) / "request.pem", Path(scratch) / "extensions"
        wanted.write_text(extensions)
        _openssl("req", *EC, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, *by, "-set_serial", f"0x{secrets.token_hex(16)}", "-days", DAYS,
                 "-extfile", wanted, "-out", certificate)  # fmt: skip


def subjects(name: str) -> str:
    """Whom the certificate names, as openssl wants it: the host, and this machine from within."""
    try:
        ipaddress.ip_address(name)
        own = f"IP:{name}"
    except ValueError:
        own = f"DNS:{name}"
    return ",".join(dict.fromkeys([own, "DNS:localhost", "IP:127.0.0.1"]))


def token() -> str:
    """A new token, of 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def write_token(file: Path) -> str:
    """The token of a file; a new one where there is none, in a file that its owner alone can read."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, token() + "\n")
    return file.read_text().strip()


def write_private(file: Path, text: str = "") -> None:
    """A file of mode 0600 from its first moment on."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def _openssl(*words: object) -> None:
    commands.output(["openssl", *map(str, words)], "see openssl's words above", timeout=60)

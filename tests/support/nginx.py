"""A real nginx in front of a server, with the recommended configuration."""

import datetime
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import ROOT
from tests.support.ports import free_port

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
NAME = "rungraph.example.com"
_SECONDS = 20

# The server lives until this shell's input is closed, so that none is left when the tests are killed.
_KEEPER = '"$@" & server=$!; read -r _; kill -TERM $server; wait $server'


def find_nginx() -> str | None:
    """The path of nginx, or None. Not every user has /usr/sbin in PATH."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@dataclass
class Nginx:
    """Its ports, and the certificate to trust."""

    http_port: int
    https_port: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"


@contextmanager
def nginx_proxy(address: str, folder: Path, **replaced: str) -> Iterator[Nginx]:
    """Runs nginx in front of the server at `address`, such as http://127.0.0.1:41234, with the ports,
    addresses and certificate of the test and the texts in `replaced`."""
    binary = find_nginx()
    assert binary is not None, "nginx is not installed: run `python tests/prepare.py`"
    http_port, https_port = free_port(), free_port()
    certificate, key = _certificate(folder)
    text = CONFIGURATION.read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{http_port};",
        "listen 443 ": f"listen 127.0.0.1:{https_port} ",
        "server 127.0.0.1:8000;": f"server {address.removeprefix('http://')};",
        "/etc/nginx/rungraph.crt": str(certificate),
        "/etc/nginx/rungraph.key": str(key),
        **replaced,
    }.items():
        assert old in text, f"deploy/nginx.conf has no {old!r} any more"
        text = text.replace(old, new)
    (folder / "rungraph.conf").write_text(text)
    temporary = "\n".join(
        f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # If root starts it, its workers run as another user, who may not write into our folder.
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/errors;\nevents {{}}\n"
        f"http {{ access_log off; {temporary}\ninclude {folder}/rungraph.conf; }}\n"
    )
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "nginx-keeper", binary, "-c", str(folder / "nginx.conf"), "-e", "stderr"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _wait_until_it_listens(keeper, https_port)
        yield Nginx(http_port, https_port, certificate)
    finally:
        keeper.communicate(timeout=_SECONDS)


def _wait_until_it_listens(keeper: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert keeper.poll() is None, "nginx ended at its start"
        assert time.monotonic() < deadline, "nginx did not start"
        time.sleep(0.02)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """The files of a self-signed certificate for NAME and 127.0.0.1, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "rungraph.crt", folder / "rungraph.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private

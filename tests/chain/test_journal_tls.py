"""A node behind TLS that asks for a client certificate: with it the chain works, without it one line says why not."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bootstrap.chain_link import _tls
from bootstrap.environment import settings_from
from bootstrap.settings import Settings, SetupError
from chain.client import Chain, token_id
from chain.errors import Final


def certificate(folder: Path, name: str, issuer: str | None = None) -> None:
    """Writes name.pem and name.key, signed by the issuer's, or an authority's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    signing, above = key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)])
    if issuer is not None:
        signing = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signing, hashes.SHA256())  # pyright: ignore[reportArgumentType]
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "authority")
    certificate(folder, "stranger")
    for name in ("node", "platform"):
        certificate(folder, name, "authority")
    return folder


@pytest.fixture(scope="module")
def guarded(folder, shared_world) -> Iterator[str]:
    """A TLS proxy before the node that lets in only who has a certificate of the authority; its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "node.pem", folder / "node.key")
    context.load_verify_locations(folder / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

    def serve(plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", shared_world.anvil.port)) as node,
        ):
            threading.Thread(target=pump, args=(node, client), daemon=True).start()
            pump(client, node)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)

    threading.Thread(target=accept, daemon=True).start()
    yield f"https://localhost:{listener.getsockname()[1]}"
    listener.close()


def settings(folder: Path, **names: str) -> Settings:
    return settings_from({f"FX_CHAIN_{name.upper()}": str(folder / file) for name, file in names.items()})


def test_with_its_certificate_the_platform_is_let_in(world, guarded, folder):
    given = _tls(settings(folder, ca="authority.pem", cert="platform.pem", key="platform.key"))
    chain = Chain.connect(guarded, 31337, world.rows, world.keys, request_kwargs=given)
    op = world.op("tls")
    chain.mint(op, token_id(op), 1_000)
    assert world.chain.receivable(token_id(op)).status == "live"


@pytest.mark.parametrize(
    "names",
    [
        {"ca": "authority.pem"},
        {"ca": "authority.pem", "cert": "stranger.pem", "key": "stranger.key"},
        {"ca": "stranger.pem"},
    ],
    ids=["no certificate", "a stranger's certificate", "an authority we do not trust"],
)
def test_without_trust_one_line_says_so(world, guarded, folder, names):
    with pytest.raises(Final, match="^no TLS with the node: .*FX_CHAIN_CA, FX_CHAIN_CERT, FX_CHAIN_KEY") as caught:
        Chain.connect(guarded, 31337, world.rows, world.keys, request_kwargs=_tls(settings(folder, **names)))
    assert "\n" not in str(caught.value)


def test_half_a_certificate_or_none_is_said_at_once(folder):
    with pytest.raises(SetupError, match="FX_CHAIN_CERT and FX_CHAIN_KEY belong together"):
        settings(folder, cert="platform.pem")
    with pytest.raises(SetupError, match="FX_CHAIN_CA is .*there is no such file"):
        settings(folder, ca="nothing.pem")
    with pytest.raises(SetupError, match="FX_CHAIN_CONFIRMATIONS is '-1'"):
        settings_from({"FX_CHAIN_CONFIRMATIONS": "-1"})

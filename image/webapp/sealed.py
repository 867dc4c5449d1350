"""What a push service carries: words that only one browser can read, and who sends them (RFC 8291, RFC 8292).

The one file that knows `cryptography`, which takes a while and some memory to load: only `push` does it, in a
thread, for who has asked for notifications.
"""

import base64
import json
import os
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
RECORD = 4096
HOLDS_S = 12 * 3600
"""How long a signature holds; services take a day at most."""


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Errors: ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def new_key() -> str:
    """A workspace's own key, to be kept."""
    return encoded(ec.generate_private_key(CURVE).private_numbers().private_value.to_bytes(32, "big"))


def public_of(key: str) -> str:
    """What a browser needs to know of it."""
    return encoded(_point(_private(key).public_key()))


def check_receiver(p256dh: str, auth: str) -> None:
    """Errors: ValueError for what no browser gives."""
    _public(p256dh)
    if len(decoded(auth)) != 16:
        raise ValueError("The secret has 16 bytes.")


def authorization(key: str, endpoint: str, subject: str) -> str:
    """The header by which a push service knows this workspace again."""
    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(time.time()) + HOLDS_S, "sub": subject}
    told = ".".join(encoded(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ES256"}, claims))
    signature = _private(key).sign(told.encode(), ec.ECDSA(hashes.SHA256()))
    both = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    return f"vapid t={told}.{encoded(both)}, k={public_of(key)}"


def sealed(words: bytes, p256dh: str, auth: str) -> bytes:
    """For the browser with this key and secret, in one record."""
    receiver, once, salt = _public(p256dh), ec.generate_private_key(CURVE), os.urandom(16)
    sender = _point(once.public_key())
    about = b"WebPush: info\0" + _point(receiver) + sender
    shared = _derived(decoded(auth), once.exchange(ec.ECDH(), receiver), about, 32)
    key = _derived(salt, shared, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(salt, shared, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD.to_bytes(4, "big") + bytes([len(sender)]) + sender
    return head + AESGCM(key).encrypt(nonce, words + b"\2", None)


def _derived(salt: bytes, secret: bytes, about: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, about).derive(secret)


def _private(key: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decoded(key), "big"), CURVE)


def _public(p256dh: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, decoded(p256dh))


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

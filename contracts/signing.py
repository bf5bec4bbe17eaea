"""One Ed25519 signature per message, over its value's bytes. Verified by libsodium: half of OpenSSL's time, no lock held meanwhile."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.bindings import crypto_sign_BYTES, crypto_sign_open
from nacl.exceptions import BadSignatureError

SIGNATURE_HEADER = "signature"
AGENT_HEADER = "agent"


def sign(private: Ed25519PrivateKey, value: bytes) -> bytes:
    """Signature of `value`, base64, as it stands in the `signature` header."""
    return base64.b64encode(private.sign(value))


def verify(public: Ed25519PublicKey, signature: bytes, value: bytes) -> bool:
    """Whether `signature` (base64) is that of `value` under `public`; threads that verify run beside each other."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if len(raw) != crypto_sign_BYTES:
            return False
        crypto_sign_open(raw + value, public.public_bytes_raw())
    except (BadSignatureError, binascii.Error, ValueError):
        return False
    return True


def public_to_text(public: Ed25519PublicKey) -> str:
    """Public key as the registry keeps it: 32 raw bytes, base64."""
    return base64.b64encode(public.public_bytes_raw()).decode()


def public_from_text(text: str) -> Ed25519PublicKey:
    """Inverse of `public_to_text`; ValueError when it is not a key."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))

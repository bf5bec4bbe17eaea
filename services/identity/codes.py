"""Codes by which an agent enrols: made to be read aloud and typed once. Pure: chance is an argument."""

from __future__ import annotations

import hashlib

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, which hands and eyes confuse with 1, 0 and V."""
GROUPS, GROUP = 5, 5
"""Five groups of five characters: 125 bits, so that guessing is hopeless whatever the number of attempts."""
BITS = GROUPS * GROUP * 5
CHANCE_BYTES = -(-BITS // 8)
MAX_TYPED = 100
"""Longer text is no code; spaces and hyphens included."""
_CONFUSED = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def code_of(chance: bytes) -> str:
    """A code such as `K7QX4-0M2TD-9WZ3A-HB5NE-R8CYG`, made of CHANCE_BYTES random bytes."""
    number = int.from_bytes(chance[:CHANCE_BYTES]) & ((1 << BITS) - 1)
    letters = "".join(ALPHABET[(number >> shift) & 31] for shift in range(BITS - 5, -1, -5))
    return "-".join(letters[start : start + GROUP] for start in range(0, len(letters), GROUP))


def digest_of(code: str) -> bytes:
    """What is kept of a code. Case, spaces, hyphens and confused letters do not matter; text that is no code has a digest too."""
    plain = code[:MAX_TYPED].strip().upper().translate(_CONFUSED)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()

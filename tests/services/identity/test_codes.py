"""Codes: typed by hand, equal whatever the hand does to them, and never guessed."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from services.identity.codes import ALPHABET, BITS, CHANCE_BYTES, code_of, digest_of

chances = st.binary(min_size=CHANCE_BYTES, max_size=CHANCE_BYTES)


@given(chances)
def test_a_code_is_five_groups_of_five_letters_that_nobody_confuses(chance: bytes):
    assert re.fullmatch(rf"([{ALPHABET}]{{5}}-){{4}}[{ALPHABET}]{{5}}", code_of(chance))
    assert not set("ILOU") & set(code_of(chance))


@given(chances, chances)
@example(b"\x00" * 16, b"\x00" * 15 + b"\x01")
@example(b"\x00" * 16, b"\x07" + b"\xff" * 15)
def test_a_code_holds_125_bits_of_its_chance(left: bytes, right: bytes):
    mask = (1 << BITS) - 1
    same = int.from_bytes(left) & mask == int.from_bytes(right) & mask
    assert BITS >= 100
    assert (code_of(left) == code_of(right)) is same
    assert (digest_of(code_of(left)) == digest_of(code_of(right))) is same


@given(chances, st.randoms(use_true_random=False))
def test_hands_may_type_it_as_they_like(chance: bytes, random):
    code = code_of(chance)
    sloppy = {"0": "0oO", "1": "1iIlL", "-": ["-", " ", "", " - "]}
    typed = "".join(random.choice(sloppy.get(letter, [letter, letter.lower()])) for letter in code)
    assert digest_of(f"  {typed} ") == digest_of(code)


@given(st.text())
@example("\ud800\x00")
@example("A" * 10_000_000)
def test_any_text_has_a_digest(text: str):
    assert len(digest_of(text)) == 32

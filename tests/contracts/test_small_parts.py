"""UAI keys, packing, signatures."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import CATALOGUE
from contracts.establishment_type import KINDS, kind_of, may_hold
from contracts.packed import pack, unpack
from contracts.signing import public_from_text, public_to_text, sign, verify
from contracts.uai import InvalidUaiError, parse_uai

REAL = [
    "0750654D",
    "0752524L",
    "0920131T",
    "6200002H",
    "7200583W",
    "9740979W",
    "9830557N",
    "9840002E",
    "9870026P",
    "9750001C",
]


@pytest.mark.parametrize("uai", REAL)
def test_real_uais_are_accepted_in_any_case(uai):
    assert parse_uai(f" {uai.lower()} ") == uai


@pytest.mark.parametrize("text", ["0750654E", "075065D", "", "0750654", "075 0654D", "٠٧٥٠٦٥٤D", "0750654I"])
def test_what_is_no_uai_is_refused(text):
    with pytest.raises(InvalidUaiError):
        parse_uai(text)


@given(st.dictionaries(st.integers(1, 2**16 - 1), st.integers(0, 2**40)))
def test_packing_loses_nothing(cells):
    codes = sorted(cells)
    back = unpack(pack(codes, [cells[code] for code in codes]))
    assert dict(zip(back[0].tolist(), back[1].tolist(), strict=True)) == cells


@pytest.mark.parametrize(("count", "width"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32, 8)])
def test_counts_take_the_narrowest_width(count, width):
    assert len(pack([1, 2], [0, count])) == 1 + 2 * (2 + width)
    assert np.array_equal(unpack(pack([1, 2], [0, count]))[1], [0, count])


def test_a_signature_is_of_one_value_and_one_key():
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = public_from_text(public_to_text(key.public_key()))
    signature = sign(key, b"state")
    assert verify(public, signature, b"state")
    assert not verify(public, signature, b"State")
    assert not verify(other.public_key(), signature, b"state")
    assert not verify(public, b"no base64!", b"state")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("college", "college"),
        ("Collège privé", "college"),
        ("lycee_professionnel", "lycee"),
        ("EREA", "secondaire"),
        ("EPLE", "secondaire"),
        ("Cité scolaire internationale", "secondaire"),
        ("cite-scolaire", "secondaire"),
        ("Collège et lycée privé", "secondaire"),
        ("lycee_college", "secondaire"),
        ("LP", "lycee"),
        ("École élémentaire", "ecole"),
        ("ecole-maternelle", "ecole"),
        ("Primaire", "ecole"),
        ("maternelle", "ecole"),
        ("centre de vacances", None),
        ("", None),
    ],
)
def test_a_type_names_a_kind_whatever_its_spelling(text, kind):
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        ("6EME", {"college", "secondaire"}),
        ("3EME-SEGPA", {"college", "secondaire"}),
        ("TALE", {"lycee", "secondaire"}),
        ("CP", {"ecole"}),
        ("AUTRE", set(KINDS)),
    ],
)
def test_a_level_is_lacked_only_where_it_surely_is(level, kinds):
    types = CATALOGUE.levels[level].types
    assert {kind for kind in KINDS if may_hold(kind, types)} == kinds
    assert may_hold(None, types), "nobody knows what such a type has"

"""What an import refuses, each by its name and in one sentence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.errors import NamedError
from services.identity import particulars
from services.identity.territory_file import check, read
from tests.services.identity.documents import KEY, A, B, as_file, territory


def entry(**changes: Any) -> dict[str, Any]:
    return {"uai": A, "name": "Collège", "type": "college", "zone": "Europe/Paris", **changes}


def test_the_least_that_is_required_is_enough():
    checked = check(
        as_file({"territory": {"name": "Département d'essai", "zone": "Indian/Reunion"}, "establishments": [entry()]})
    )
    assert checked.territory.id == "departement-d-essai"
    assert checked.conventions == {A: "consent"}
    assert checked.key is None
    assert checked.token is None


def test_a_uai_in_small_letters_is_the_same_establishment():
    checked = check(as_file(territory(A.lower())))
    assert [each.uai for each in checked.establishments] == [A]
    assert {grant.uai for grant in checked.grants} == {A}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"establishments": [entry(uai="0750001X")]}, "invalid_uai"),
        ({"establishments": [entry(uai="")]}, "invalid_uai"),
        ({"establishments": [entry(zone="Europe/Pars")]}, "invalid_zone"),
        ({"establishments": [entry(zone="../../etc/passwd")]}, "invalid_zone"),
        ({"establishments": [entry(name="  ")]}, "invalid_text"),
        ({"establishments": [entry(name="a\r\nBcc: x")]}, "invalid_text"),
        ({"establishments": [entry(name="a\u0000b")]}, "invalid_text"),
        ({"establishments": [entry(name="x" * 201)]}, "invalid_text"),
        ({"establishments": [entry(postal_codes=["7500"])]}, "invalid_postal_code"),
        ({"establishments": [entry(postal_codes=["٧٥٠٠١"])]}, "invalid_postal_code"),
        ({"establishments": [entry(opened="2026-09-01", closed="2025-09-01")]}, "invalid_dates"),
        ({"establishments": [entry(opened="September")]}, "invalid_file"),
        ({"establishments": [entry(convention="maybe")]}, "invalid_file"),
        ({"establishments": [entry(), entry()]}, "invalid_file"),
        ({"establishments": [entry(), entry(uai=A.lower())]}, "invalid_file"),
        ({"establishments": [entry(colour="blue")]}, "invalid_file"),
        ({"territory": {"name": "x", "zone": "Europe/Paris", "id": "D 86"}}, "invalid_id"),
        ({"territory": {"name": "x", "zone": "Europe/Paris", "threshold": 4}}, "invalid_threshold"),
        ({"territory": {"name": "x"}}, "invalid_file"),
        ({"agent": {"id": "agent-1", "public_key": "AAAA"}}, "invalid_key"),
        ({"agent": {"id": "agent-1", "public_key": "€"}}, "invalid_key"),
        ({"agent": {"id": "../1", "public_key": KEY}}, "invalid_id"),
        ({"agent": None}, "invalid_file"),
        ({"grants": [{"uai": A, "family": "telepathy"}]}, "unknown_family"),
        ({"grants": [{"uai": B, "family": "web"}]}, "invalid_file"),
        ({"grants": [{"uai": A, "family": "web", "from": "2026-09-02", "to": "2026-09-01"}]}, "invalid_dates"),
        ({"token": "short"}, "invalid_token"),
        ({"token": "é" * 40}, "invalid_token"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(changes, code):
    with pytest.raises(NamedError) as refused:
        check(as_file(territory(A, **changes)))
    assert refused.value.code == code
    assert refused.value.status == 422
    assert str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"territory": 1}', b"[" * 100_000])
def test_what_is_no_document_is_refused(content):
    with pytest.raises(NamedError) as refused:
        read(content)
    assert refused.value.code == "invalid_file"


def test_a_lone_surrogate_never_enters():
    with pytest.raises(NamedError):
        check(read(json.dumps(territory(A, territory={"name": "a\ud800", "zone": "Europe/Paris"}))))


def test_a_key_is_read_from_pem_and_from_base64_alike():
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert particulars.a_public_key(pem) == particulars.a_public_key(f"{KEY}\n") == KEY


def test_another_kind_of_key_is_refused():
    pem = X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(NamedError) as refused:
        particulars.a_public_key(pem.decode())
    assert refused.value.code == "invalid_key"
    with pytest.raises(NamedError):
        particulars.a_public_key(base64.b64encode(bytes(31)).decode())


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Vienne", "vienne"),
        ("  Côte-d'Or  ", "cote-d-or"),
        ("李", "territory"),
        ("-" * 90, "territory"),
        ("é" * 90, "e" * 60),
    ],
)
def test_a_territory_without_id_is_named_after_its_name(name, slug):
    assert particulars.slug(name) == slug
    assert particulars.an_id(slug) == slug

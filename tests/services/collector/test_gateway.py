"""The way to the platform: a private authority, a proxy that must be passed, answers that are none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.config import GatewaySettings, KafkaSettings, read_settings
from services.collector.errors import EnrolmentError, NotDeliveredError, SettingsError
from services.collector.gateway import Gateway
from services.collector.kafka_security import kafka_security
from services.collector.wiring import gateway_of
from tests.services.collector.fleet import FAMILIES, enrolled, seen, write_journal
from tests.services.collector.school import NOW, UAI
from tests.support.fleet_platform import FleetPlatform, RefusedError
from tests.support.tls import ConnectProxy, authority

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, "SSL_CERT_FILE", "TERRITORIALE_KAFKA"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return authority(tmp_path)[0]


@pytest.fixture
def platform(tmp_path: Path, ca: Path) -> Iterator[FleetPlatform]:
    assert ca.exists()
    with FleetPlatform(tls=tmp_path / "server.pem") as platform:
        platform.serve(UAI, *FAMILIES)
        yield platform


async def test_an_authority_that_nobody_knows_is_refused(platform: FleetPlatform, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError, match="certificate verify failed"):
        await enrolled(platform, tmp_path)
    assert platform.keys == {}


async def test_a_private_authority_is_trusted_where_it_is_named(
    platform: FleetPlatform, tmp_path: Path, ca: Path
) -> None:
    await enrolled(platform, tmp_path, ca=ca)
    settings = read_settings(tmp_path / "agent.toml")
    assert settings.gateway == GatewaySettings(platform.url, str(ca))
    gateway = gateway_of(settings)
    assert gateway
    assert abs((await gateway.server_time() - datetime.now(UTC)).total_seconds()) < 60
    await gateway.close()


async def test_or_in_the_environment(platform: FleetPlatform, tmp_path: Path, ca: Path, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    assert (await enrolled(platform, tmp_path)).agent == "agent-1"


async def test_a_file_that_holds_no_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "rubbish.pem").write_text("rubbish")
    with pytest.raises(SettingsError, match=r"rubbish\.pem: gateway\.ca"):
        Gateway("https://localhost", ca=tmp_path / "rubbish.pem")


async def test_a_proxy_is_passed_and_sees_nothing_but_the_name(
    platform: FleetPlatform, tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        write_journal(tmp_path, seen())
        await enrolled(platform, tmp_path, ca=ca)
        assert proxy.asked == [f"CONNECT localhost:{platform.port}"]
        monkeypatch.setenv("NO_PROXY", "localhost")
        await enrolled(platform, tmp_path, ca=ca)
        assert len(proxy.asked) == 1, "what is exempt goes straight"


async def test_a_proxy_that_is_away_is_told(
    platform: FleetPlatform, tmp_path: Path, ca: Path, monkeypatch, free_port
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(EnrolmentError, match="cannot be reached"):
        await enrolled(platform, tmp_path, ca=ca)


@pytest.mark.parametrize(("header", "seconds"), [("17", 17), ("999999", 3600), ("soon", None), ("-3", None)])
async def test_how_long_to_wait(header: str, seconds: float | None) -> None:
    with FleetPlatform(refusals=[RefusedError(503, "unavailable", {"Retry-After": header})]) as platform:
        gateway = Gateway(platform.url)
        platform.answer = lambda *_: (503, b"", {"Retry-After": header})  # type: ignore[method-assign]
        with pytest.raises(NotDeliveredError) as caught:
            await gateway.hello("agent-1", b"{}", b"")
        await gateway.close()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (200, {}, b"<html>Sign in to the school's network</html>", "is it the platform"),
        (302, {"Location": "http://portal.example"}, b"", "a portal"),
        (200, {}, b'{"agent": 5}', "is it the platform"),
        (200, {}, b"x" * (9 * 1024 * 1024), "is it the platform"),
        (502, {}, b"<html>", "asks to try later"),
    ],
)
async def test_answers_of_somebody_else_are_no_answers(status: int, headers, body: bytes, words: str) -> None:
    with FleetPlatform() as platform:
        platform.answer = lambda *_: (status, body, headers)  # type: ignore[method-assign]
        gateway = Gateway(platform.url)
        with pytest.raises(NotDeliveredError, match=words):
            await gateway.hello("agent-1", b"{}", b"")
        await gateway.close()


def test_kafka_by_tls_and_sasl(tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka_security(KafkaSettings("b:9092")) == {"security_protocol": "PLAINTEXT"}
    (tmp_path / "password").write_text("secret\n")
    settings = KafkaSettings("b:9093", "sasl-tls", user="agent-1", password_file=str(tmp_path / "password"), ca=str(ca))
    found = kafka_security(settings)
    assert found.pop("ssl_context").get_ca_certs()
    assert found == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "agent-1",
        "sasl_plain_password": "secret",
    }
    assert "secret" not in repr(settings)
    with pytest.raises(SettingsError, match=r"kafka\.password_file"):
        kafka_security(KafkaSettings("b:9093", "sasl", user="agent-1"))
    monkeypatch.setenv("TERRITORIALE_KAFKA_PASSWORD", "other")
    assert kafka_security(KafkaSettings("b:9093", "sasl", user="agent-1"))["sasl_plain_password"] == "other"
    with pytest.raises(SettingsError, match=r"kafka\.user"):
        kafka_security(KafkaSettings("b:9093", "sasl"))

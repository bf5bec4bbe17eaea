"""`territoriale admin …` as an operator types it: one sentence for each refusal, exit code 2, JSON where it reports."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from services.identity.cli import admin
from services.identity.config import RegistrarSettings
from tests.services.identity.conftest import NOW
from tests.services.identity.documents import KEY, A, B, territory


@pytest.fixture
def run() -> Callable[..., Result]:
    def type_in(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(admin, words, input=stdin)

    return type_in


@pytest.fixture
def registry(
    settings: RegistrarSettings, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> Callable[..., Result]:
    """The commands, on a registry of their own."""
    monkeypatch.setenv("TERRITORIALE_IDENTITY_DATABASE", settings.identity_database.get_secret_value())
    monkeypatch.setenv("TERRITORIALE_REDIS", settings.redis.get_secret_value())
    monkeypatch.setenv("TERRITORIALE_NOW", NOW.isoformat())
    return run


def done(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(result: Result, code: str) -> bool:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert code in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    return True


@pytest.mark.connected
def test_a_territory_is_built_command_by_command(registry):
    done(registry("territory", "add", "d086", "--name", "Vienne", "--zone", "Europe/Paris"))
    done(registry("establishment", "add", A.lower(), "--name", "Collège", "--type", "college", "--zone", "Europe/Paris",
                  "--postal-code", "86000", "--postal-code", "86100"))  # fmt: skip
    done(registry("convention", "add", A, "--territory", "d086"))
    done(registry("agent", "add", "agent-1"))
    done(registry("agent", "key", "agent-1", "-", stdin=KEY))
    done(registry("grant", "add", "agent-1", A, "web", "people", "--from", "2026-09-01"))
    token = json.loads(done(registry("token", "create", "--territory", "d086", "--label", "essai", "--json")))

    assert json.loads(done(registry("territory", "show", "d086", "--json")))["zone"] == "Europe/Paris"
    assert json.loads(done(registry("establishment", "list", "--json")))[0]["postal_codes"] == ["86000", "86100"]
    assert json.loads(done(registry("agent", "list", "--json")))[0]["keys"][0]["public_key"] == KEY
    grants = json.loads(done(registry("grant", "list", "--uai", A, "--json")))
    assert [(grant["family"], grant["from"], grant["to"]) for grant in grants] == [
        ("people", "2026-09-01", None),
        ("web", "2026-09-01", None),
    ]
    listed = done(registry("token", "list", "--json"))
    assert json.loads(listed)[0]["id"] == token["id"]
    assert token["token"] not in listed + done(registry("token", "list"))

    done(registry("grant", "end", "agent-1", A, "web", "--on", "2026-10-31"))
    done(registry("establishment", "set", A, "--name", "Collège Zola", "--closed", "2027-08-31"))
    done(registry("convention", "end", A, "--territory", "d086"))
    done(registry("agent", "key", "agent-1", "-", "--end", stdin=KEY))
    done(registry("token", "revoke", token["id"]))
    assert "Collège Zola" in done(registry("establishment", "list"))
    assert json.loads(done(registry("convention", "list", "--json")))[0]["valid_to"] == "2026-11-23T09:00:00Z"
    assert "revoked" in done(registry("token", "list", "--territory", "d086"))
    for report in ("territory", "convention", "agent", "grant"):
        assert done(registry(report, "list"))


@pytest.mark.connected
def test_an_import_prints_the_token_once(registry):
    printed = json.loads(done(registry("import", "-", "--json", stdin=json.dumps(territory(A, B)))))
    assert printed["territory"] == "d086"
    assert printed["establishments"] == 2
    again = done(registry("import", "-", stdin=json.dumps(territory(A, B, token=printed["token"]))))
    assert printed["token"] in again


@pytest.mark.connected
def test_refusals_of_the_registry_are_one_sentence(registry):
    done(registry("import", "-", stdin=json.dumps(territory(A))))
    assert refused(registry("agent", "add", "agent-1"), "already_there")
    assert refused(registry("establishment", "add", A, "--name", "x", "--type", "x", "--zone", "UTC"), "already_there")
    assert refused(registry("establishment", "set", B, "--name", "x"), "unknown_establishment")
    assert refused(registry("convention", "add", A, "--territory", "d086"), "convention_overlap")
    assert refused(registry("convention", "add", A, "--territory", "d999"), "unknown_territory")
    assert refused(registry("convention", "end", B, "--territory", "d086"), "unknown_convention")
    assert refused(registry("grant", "add", "agent-1", A, "web", "--from", "2026-09-01"), "grant_overlap")
    assert refused(registry("grant", "add", "nobody", A, "web"), "unknown_agent")
    assert refused(registry("grant", "end", "agent-1", B, "web", "--on", "2026-09-01"), "unknown_grant")
    assert refused(registry("token", "create", "--territory", "d999"), "unknown_territory")
    assert refused(registry("token", "revoke", "nothing"), "unknown_token")
    assert refused(registry("territory", "show", "d999"), "unknown_territory")
    assert refused(registry("agent", "key", "nobody", "-", stdin=KEY), "unknown_agent")


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("establishment", "add", "0750001X", "--name", "x", "--type", "x", "--zone", "UTC"), None, "invalid_uai"),
        (("establishment", "set", A), None, "nothing to change"),
        (("territory", "add", "D 86", "--name", "x", "--zone", "UTC"), None, "invalid_id"),
        (("territory", "add", "d086", "--name", "x", "--zone", "Moon"), None, "invalid_zone"),
        (("grant", "add", "agent-1", A, "telepathy"), None, "unknown_family"),
        (("invite", "agent", "site-1", "--grant", f"{A}"), None, "invalid_grant"),
        (("invite", "agent", "Site 1", "--grant", f"{A}:web"), None, "invalid_id"),
        (("invite", "agent", "site-1", "--uai", A), None, "--uai and --source go together"),
        (("agent", "key", "agent-1", "-"), "not a key", "invalid_key"),
        (("import", "-"), "{", "invalid_file"),
    ],
)
def test_bad_input_is_refused_before_any_database(run, words, stdin, said):
    assert refused(run(*words, stdin=stdin), said)


@pytest.mark.parametrize(
    "words",
    [
        ("grant", "add", "agent-1", A, "web", "--from", "2026-13-01"),
        ("convention", "end", A, "--territory", "d086", "--at", "2026-09-01T10:00:00"),
        ("convention", "add", A, "--territory", "d086", "--kind", "maybe"),
        ("import", "nowhere.json"),
    ],
)
def test_bad_options_end_with_exit_code_2(run, words):
    assert run(*words).exit_code == 2


def test_what_is_missing_in_the_environment_is_named(run, monkeypatch):
    monkeypatch.delenv("TERRITORIALE_IDENTITY_DATABASE", raising=False)
    monkeypatch.setenv("TERRITORIALE_REDIS", "redis://127.0.0.1:1/0")
    result = run("territory", "list")
    assert result.exit_code == 1
    assert "TERRITORIALE_IDENTITY_DATABASE" in result.stderr


def test_a_database_that_is_away_is_one_sentence(run, monkeypatch, free_port):
    monkeypatch.setenv(
        "TERRITORIALE_IDENTITY_DATABASE", f"postgresql+asyncpg://identity:secret@127.0.0.1:{free_port()}/x"
    )
    monkeypatch.setenv("TERRITORIALE_REDIS", "redis://127.0.0.1:1/0")
    result = run("territory", "list")
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert "secret" not in result.output


@pytest.mark.connected
def test_a_database_without_registry_says_what_to_start(run, monkeypatch, database, valkey):
    monkeypatch.setenv("TERRITORIALE_IDENTITY_DATABASE", database.identity)
    monkeypatch.setenv("TERRITORIALE_REDIS", valkey)
    result = run("territory", "list")
    assert result.exit_code == 1
    assert "start the identity service" in result.stderr


def test_every_command_has_help(run):
    groups = {name: getattr(command, "commands", {}) for name, command in admin.commands.items() if name != "rebuild"}
    for group, commands in groups.items():
        for words in ([group], *([group, name] for name in commands)):
            result = run(*words, "--help")
            assert result.exit_code == 0
            assert "Usage:" in result.stdout


@pytest.mark.connected
def test_an_agent_is_invited_watched_asked_and_revoked(registry):
    done(registry("import", "-", stdin=json.dumps({**territory(A, B), "agent": None, "grants": []})))
    made = json.loads(done(registry("invite", "agent", "site-1", "--grant", f"{A}:journal:2026-09-01", "--json")))
    assert (made["agent"], made["uncollected"]) == ("site-1", [])
    assert len(made["code"]) == 29
    other = done(registry("invite", "agent", "site-2", "--uai", A, "--uai", B, "--source", "census", "--hours", "1"))
    assert "code (shown once)" in other
    listed = json.loads(done(registry("invite", "list", "--json")))
    assert [(each["agent"], each["state"]) for each in listed] == [("site-1", "open"), ("site-2", "open")]
    assert made["code"] not in done(registry("invite", "list")) + json.dumps(listed)
    done(registry("invite", "revoke", made["id"]))
    assert json.loads(done(registry("invite", "list", "--json")))[0]["state"] == "revoked"
    assert refused(registry("invite", "revoke", "nothing"), "unknown_invitation")

    done(registry("agent", "key", "site-1", "-", stdin=KEY))
    assert "site-1, site-2" in done(registry("agent", "resend", "--all", "--since", "2026-10-01"))
    assert "site-1" in done(registry("agent", "resend", "site-1", "--since", "2026-10-01"))
    assert refused(registry("agent", "resend", "--since", "2026-10-01"), "name agents, or --all")
    assert refused(registry("agent", "resend", "nobody", "--since", "2026-10-01"), "unknown_agent")
    first, second = json.loads(done(registry("agent", "list", "--json")))
    assert (first["silent"], first["revoked"], first["keys"][0]["public_key"]) == (True, False, KEY)
    assert (second["silent"], second["revoked"], second["keys"]) == (False, True, [])
    shown = done(registry("agent", "list"))
    assert "!! silent" in shown
    assert "hello never" in shown
    assert "1 keys ended" in done(registry("agent", "revoke", "site-1"))
    assert json.loads(done(registry("agent", "list", "--json")))[0]["revoked"]
    assert refused(registry("agent", "revoke", "nobody"), "unknown_agent")


@pytest.mark.connected
def test_an_establishment_is_one_of_a_territory_without_a_convention(registry):
    done(registry("territory", "add", "d086", "--name", "Vienne", "--zone", "Europe/Paris"))
    described = ("--name", "Collège", "--type", "college", "--zone", "Europe/Paris")
    done(registry("establishment", "add", A, *described, "--territory", "d086"))
    done(registry("establishment", "add", B, *described))
    assert A in done(registry("establishment", "list", "--territory", "d086"))
    assert f"{B} is an establishment of d086" in done(registry("establishment", "join", B, "--territory", "d086"))
    assert f"{A} is not" in done(registry("establishment", "leave", A, "--territory", "d086"))
    (left,) = json.loads(done(registry("establishment", "list", "--territory", "d086", "--json")))
    assert left["uai"] == B
    assert refused(registry("establishment", "leave", A, "--territory", "d086"), "unknown_member")


@pytest.mark.connected
def test_an_invitation_without_convention_says_so(registry):
    done(registry("import", "-", stdin=json.dumps({**territory(A, B), "agent": None, "grants": []})))
    done(registry("convention", "end", A, "--territory", "d086"))
    result = registry("invite", "agent", "site-1", "--uai", A, "--source", "journal", "--json")
    assert result.exit_code == 0
    assert f"{A} has no convention in force" in result.stderr
    assert json.loads(result.stdout)["uncollected"] == [A]
    assert refused(registry("invite", "agent", "site-3"), "nothing_to_grant")
    assert refused(registry("invite", "agent", "site-3", "--grant", "0860001J:web"), "unknown_establishment")


@pytest.mark.connected
def test_last_reports_are_asked_of_the_query_api(registry, monkeypatch, free_port):
    done(registry("import", "-", stdin=json.dumps(territory(A))))
    monkeypatch.setenv("TERRITORIALE_QUERY_URL", f"http://127.0.0.1:{free_port()}")
    result = registry("agent", "list", "--json")
    assert result.exit_code == 0
    assert "the query API does not answer" in result.stderr
    assert json.loads(result.stdout)[0]["last_report"] is None


@pytest.mark.connected
def test_an_agent_is_replaced_in_mid_month(registry):
    done(registry("import", "-", stdin=json.dumps(territory(A))))
    done(registry("agent", "add", "agent-2"))
    done(registry("grant", "move", "agent-1", "agent-2", A, "web", "people", "--on", "2026-11-16"))
    grants = {(g["family"], g["agent"]): (g["from"], g["to"]) for g in _grants(registry, A)}
    assert grants["web", "agent-1"] == grants["people", "agent-1"] == (None, "2026-11-15")
    assert grants["web", "agent-2"] == grants["people", "agent-2"] == ("2026-11-16", None)
    assert grants["software", "agent-1"] == (None, None)

    done(registry("grant", "move", "agent-1", "agent-2", A, "--on", "2026-11-20"))
    grants = {(g["family"], g["agent"]): (g["from"], g["to"]) for g in _grants(registry, A)}
    assert grants["software", "agent-2"] == ("2026-11-20", None)
    assert grants["web", "agent-1"] == (None, "2026-11-15")

    done(registry("grant", "move", "agent-2", "agent-1", A, "web", "--on", "2026-11-01"))
    back = [(g["from"], g["to"]) for g in _grants(registry, A) if (g["family"], g["agent"]) == ("web", "agent-1")]
    assert sorted(back, key=str) == [("2026-11-16", None), (None, "2026-11-15")]
    assert refused(registry("grant", "move", "agent-2", "agent-1", A, "web", "--on", "2026-11-01"), "unknown_grant")
    assert refused(registry("grant", "move", "agent-1", "nobody", A, "web", "--on", "2026-11-01"), "unknown_agent")


@pytest.mark.connected
def test_a_grant_given_by_mistake_is_removed(registry):
    done(registry("import", "-", stdin=json.dumps(territory(A))))
    done(registry("grant", "remove", "agent-1", A, "web"))
    assert "web" not in {grant["family"] for grant in _grants(registry, A)}
    assert refused(registry("grant", "remove", "agent-1", A, "web"), "unknown_grant")
    for first, last in (("2026-09-01", "2026-09-30"), ("2026-10-01", "2026-10-31")):
        done(registry("grant", "add", "agent-1", A, "web", "--from", first, "--to", last))
    assert refused(registry("grant", "remove", "agent-1", A, "web"), "2 such grants")
    done(registry("grant", "remove", "agent-1", A, "web", "--from", "2026-10-01"))
    assert [grant["from"] for grant in _grants(registry, A) if grant["family"] == "web"] == ["2026-09-01"]


def _grants(registry: Callable[..., Result], uai: str) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = json.loads(done(registry("grant", "list", "--uai", uai, "--json")))
    return found

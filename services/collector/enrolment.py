"""`agent enrol`: a code from the platform becomes a key, a settings file ready to edit and, by establishment, a place for sources."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from contracts.fleet import Enrol, Enrolled, HelloAnswer
from contracts.signing import public_to_text, sign
from services.collector.config import DEFAULT_CADENCE_SECONDS, SOURCES_FILE, check_url
from services.collector.errors import EnrolmentError, MessageRefusedError, NotDeliveredError, StateInUseError
from services.collector.gateway import Gateway
from services.collector.keys import KeyRing, make_key
from services.collector.knowledge import Knowledge
from services.collector.settings_text import settings_text, sources_text
from services.collector.state import open_state
from services.collector.version import agent_version

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from contracts.fleet import ServedEstablishment

_TODO = {
    "ended_key": "Run the same command again with --new-key",
    "no_convention": "Ask the platform's administrator: the code serves once there is a convention",
}
KEY, STATE = "agent.key", "agent.sqlite"
ENROLLING = ".enrolling"
"""Ends the name of a key that is to replace a revoked one. Not that of rotation: whoever took the old key may have that one too."""


@dataclass(frozen=True)
class Request:
    """What the operator gave. `folder`: where key and state are kept; `sources`: folders that hold what is to be read."""

    url: str
    code: str
    settings: Path
    folder: Path
    sources: tuple[Path, ...] = ()
    ca: Path | None = None
    new_key: bool = False


@dataclass(frozen=True)
class Enrolment:
    """What came of it: `written` files are new, `absent` establishments are granted but not in settings that existed."""

    agent: str
    settings: Path
    written: tuple[Path, ...]
    establishments: tuple[ServedEstablishment, ...]
    families: dict[str, tuple[str, ...]]
    absent: tuple[str, ...]


async def enrol(request: Request, now: datetime) -> Enrolment:
    """Enrol, or finish an enrolment whose answer was lost; `EnrolmentError` says what to do."""
    check_url("--url", "", request.url)
    existing = _existing(request)
    key_path = request.settings.parent / existing["key"] if existing else request.folder / KEY
    signing = key_path.with_name(key_path.name + ENROLLING) if request.new_key else key_path
    answer = await _ask(request, signing)
    if existing and existing["agent"] != answer.agent:
        raise EnrolmentError(
            f"{request.settings} is agent {existing['agent']}'s, and this code is for {answer.agent}: give another --settings"
        )
    if request.new_key:
        signing.replace(key_path)
        KeyRing(key_path).forget_next()
    folders = {each.uai: _folder_of(each.uai, request, answer) for each in answer.establishments}
    state_path = request.settings.parent / existing["state"] if existing else request.folder / STATE
    written = [] if existing else _write_all(request, answer, folders)
    _remember(answer, state_path, now)
    return Enrolment(
        agent=answer.agent,
        settings=request.settings,
        written=tuple(written),
        establishments=tuple(answer.establishments),
        families={each.uai: _families(answer, each.uai) for each in answer.establishments},
        absent=tuple(each.uai for each in answer.establishments if existing and each.uai not in existing["uais"]),
    )


def _existing(request: Request) -> dict[str, Any] | None:
    """What a settings file that is already there says; it is never written over."""
    try:
        found = tomllib.loads(request.settings.read_text("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EnrolmentError(
            f"{request.settings} is there and cannot be read ({error}): give another --settings"
        ) from error
    url = str(found.get("gateway", {}).get("url", "")).rstrip("/")
    if url != request.url.rstrip("/"):
        raise EnrolmentError(
            f"{request.settings} is of an agent of {url or 'no gateway'}: give another --settings, or remove that file first"
        )
    return {
        "agent": str(found.get("agent", "")),
        "key": str(found.get("key", KEY)),
        "state": str(found.get("state", STATE)),
        "uais": {str(each.get("uai", "")).upper() for each in found.get("establishment", ())},
    }


async def _ask(request: Request, signing: Path) -> Enrolled:
    """Enrol with the key of a file, made if there is none; one that was ended meanwhile is of no use to a second try."""
    key = make_key(signing)
    body = msgspec.json.encode(Enrol(request.code.strip(), public_to_text(key.public_key()), agent_version()))
    gateway = Gateway(request.url, ca=request.ca)
    try:
        return await gateway.enrol(body, sign(key, body))
    except MessageRefusedError as error:
        raise _refusal(request, signing, error) from error
    except NotDeliveredError as error:
        raise EnrolmentError(f"{error}. Nothing is lost: run the same command again") from error
    finally:
        await gateway.close()


def _refusal(request: Request, signing: Path, error: MessageRefusedError) -> EnrolmentError:
    if request.new_key and error.problem == "ended_key":
        signing.unlink()
    todo = _TODO.get(error.problem, "A code serves once and for a time: ask for another")
    return EnrolmentError(f"{request.url} refuses to enrol: {error}. {todo}")


def _folder_of(uai: str, request: Request, answer: Enrolled) -> Path:
    """A given folder of that name, or one that holds such a folder; the only one given, for the only establishment."""
    for folder in request.sources:
        if folder.name.upper() == uai:
            return folder.resolve()
        if (folder / uai).is_dir():
            return (folder / uai).resolve()
    if len(request.sources) == 1 and len(answer.establishments) == 1:
        return request.sources[0].resolve()
    return request.settings.parent.resolve() / "sources" / uai


def _places(request: Request) -> dict[str, str]:
    places = {"state": request.folder / STATE, "key": request.folder / KEY}
    found = {name: _relative(path, request.settings.parent) for name, path in places.items()}
    return {**found, "url": request.url, "ca": str(request.ca.resolve()) if request.ca else ""}


def _relative(path: Path, folder: Path) -> str:
    return path.name if path.parent.resolve() == folder.resolve() else path.resolve().as_posix()


def _write_all(request: Request, answer: Enrolled, folders: dict[str, Path]) -> list[Path]:
    """The settings and, where there is none, an `agent.toml` that says what may stand in it."""
    places = {each: folders[each.uai] / SOURCES_FILE for each in answer.establishments}
    texts = {
        path: sources_text(each, _families(answer, each.uai)) for each, path in places.items() if not path.exists()
    }
    texts[request.settings] = settings_text(answer, _places(request), folders)
    return [_write(path, text) for path, text in texts.items()]


def _families(answer: Enrolled, uai: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(grant.family for grant in answer.grants if grant.uai == uai))


def _write(path: Path, text: str) -> Path:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be written: {error}") from error
    return path


def _remember(answer: Enrolled, state: Path, now: datetime) -> None:
    """What was granted, until the first hello says it again; a running agent says hello by itself."""
    known = HelloAnswer(answer.server_time, "0", DEFAULT_CADENCE_SECONDS, answer.establishments, answer.grants)
    with suppress(StateInUseError), open_state(state, now) as store:
        if store.memory.knowledge().answer is None:
            with store.transaction():
                store.memory.save(Knowledge(answer=known))


def as_document(enrolment: Enrolment) -> dict[str, Any]:
    """The same for machines."""
    return {
        "agent": enrolment.agent,
        "settings": str(enrolment.settings),
        "written": [str(path) for path in enrolment.written],
        "establishments": [
            {
                "uai": each.uai,
                "name": each.name,
                "collected": each.collected,
                "families": list(enrolment.families[each.uai]),
                "in_settings": each.uai not in enrolment.absent,
            }
            for each in enrolment.establishments
        ],
    }

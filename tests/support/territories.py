"""Small bring-your-own territories, written from a seed and full of what real sources do to an agent.

`write_nasty(folder, seed, now)` writes a dozen establishments of several zones: clean and broken lines, heartbeats with
holes, rotated, copied and gzipped files, late lines, lines ahead of the clock, schools that open, close, share a file or
send nothing. Everything is drawn from the seed, so that a failing run can be replayed.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.oracle.journal import THEME

Line = dict[str, Any] | bytes
"""A fact, or bytes to be written as they stand."""

KEY_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
ODD_NAMES = (
    "Zoé",
    "Zoe\u0301",
    "12",
    " 12",
    "012",
    "李雷",
    "👩‍🏫",
    'a"b',
    "c;d",
    "=1+1",
    "\u202eabc",
    "ÉLÈVE",
    "élève",
    "tab\there",
)
"""People whose ids look alike, or hurt: composed and decomposed accents, blanks, quotes, formulas, right-to-left marks."""
DISORDERLY = "0750013G"
"""Whose lines come late in `write_nasty`."""
BEATING = ("0750002V", "0750018M")
"""Whose sources have heartbeats in `write_nasty`."""
CANARY = "canari"
"""Stands in every `who`, and in every other text of the sources that must not leave the establishment."""
MEASURES = tuple(THEME)
LEVELS = ("6EME", "5EME", "3EME-SEGPA", "CP", "ULIS", "TALE", "BTS", "canari-niveau", None)
BROKEN: tuple[bytes, ...] = (
    b"{not json canari-illisible",
    b"[1, 2]",
    b"\xff\xfe\x00",
    b'{"at": "2026-01-05T08:00:00"}',
    b'{"kind": "connection", "at": "2026-01-05T08:00:00", "who": "x", "profile": "eleve", "channel": "web", "access": "ent"}',
    b'{"pad": "canari-long' + b"x" * 70_000 + b'"}',
)


def uai(number: int) -> str:
    """A valid UAI: seven digits and their key letter."""
    return f"{number:07d}{KEY_LETTERS[number % 23]}"


@dataclass(frozen=True)
class Place:
    """One `[[establishment]]` of territory.toml."""

    uai: str
    name: str
    type: str = "college"
    zone: str = "Europe/Paris"
    postal_codes: tuple[str, ...] = ()
    opened: date | None = None
    closed: date | None = None
    convention: str | None = None

    def as_toml(self) -> str:
        lines = [
            f"{name} = {json.dumps(getattr(self, name), ensure_ascii=False)}"
            for name in ("uai", "name", "type", "zone")
        ]
        if self.postal_codes:
            lines.append(f"postal_codes = {json.dumps(self.postal_codes)}")
        lines += [f"{name} = {day}" for name in ("opened", "closed") if (day := getattr(self, name))]
        if self.convention is not None:
            lines.append(f'convention = "{self.convention}"')
        return "\n".join(["[[establishment]]", *lines])


@dataclass
class TerritoryFolder:
    """Writes `territory.toml` and what each agent.toml names."""

    path: Path
    name: str = "Département d'essai"
    zone: str = "Europe/Paris"
    places: list[Place] = field(default_factory=list)

    def add(self, place: Place, *, journal: str | list[str] | None = "journal.ndjson") -> Place:
        """Describe an establishment; `journal=None` leaves it without any source."""
        self.places.append(place)
        described = "\n\n".join(
            [
                f"name = {json.dumps(self.name)}\nzone = {json.dumps(self.zone)}",
                *(each.as_toml() for each in self.places),
            ]
        )
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "territory.toml").write_text(described + "\n", "utf-8")
        if journal is not None:
            (self.path / place.uai).mkdir(exist_ok=True)
            (self.path / place.uai / "agent.toml").write_text(f"journal = {json.dumps(journal)}\n", "utf-8")
        return place

    def write(
        self, relative: str, lines: list[Line], *, newline: bytes = b"\n", last_newline: bool = True, bom: bool = False
    ) -> Path:
        """Write lines to a file under the folder, gzipped when its name says so."""
        content = (b"\xef\xbb\xbf" if bom else b"") + newline.join(as_bytes(line) for line in lines)
        content += newline if last_newline else b""
        path = self.path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
        return path


def as_bytes(line: Line) -> bytes:
    return line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()


def connection(at: datetime, who: str, profile: str = "eleve", channel: str = "web", access: str = "ent") -> Line:
    return {
        "at": at.isoformat(),
        "kind": "connection",
        "who": who,
        "profile": profile,
        "channel": channel,
        "access": access,
    }


def activity(at: datetime, measure: str, **rest: Any) -> Line:
    return {"at": at.isoformat(), "kind": "activity", "measure": measure, **rest}


def heartbeat(at: datetime) -> Line:
    return {"at": at.isoformat(), "kind": "heartbeat"}


@dataclass
class Traffic:
    """Draws the life of one establishment between two instants."""

    draw: random.Random
    zone: ZoneInfo
    prefix: str = ""

    def lines(self, start: datetime, end: datetime, *, per_day: int) -> list[tuple[datetime, Line]]:
        """Facts in order of time; the first stands at `start` exactly, none after `end`."""
        found = [(start, self._connection(start))]
        day = start.astimezone(self.zone).date()
        while day <= end.astimezone(self.zone).date():
            instants = [self._instant(day) for _ in range(self.draw.randint(0, 2 * per_day))]
            found += [(at, self._fact(at)) for at in instants if start < at <= end]
            day += timedelta(days=1)
        return sorted(found, key=lambda each: each[0])

    def _instant(self, day: date) -> datetime:
        """Any local second of the day, the night of the changing clocks included, now and then with a fraction."""
        wall = datetime.combine(
            day, time(self.draw.randrange(24), self.draw.randrange(60), self.draw.randrange(60)), self.zone
        )
        wall = wall.replace(fold=self.draw.randrange(2), microsecond=self.draw.choice([0, 0, 0, 250_000]))
        return wall.astimezone(self.draw.choice([self.zone, self.zone, ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo")]))

    def _fact(self, at: datetime) -> Line:
        if self.draw.random() < 0.4:
            n = self.draw.choice([1, 2, 4, 5, self.draw.randint(1, 60)])
            return activity(at, self.draw.choice(MEASURES), n=n, level=self.draw.choice(LEVELS))
        return self._connection(at)

    def _connection(self, at: datetime) -> Line:
        profile = self.draw.choices(
            ("eleve", "responsable", "accompagnant", "enseignant", "personnel"), (40, 30, 6, 15, 9)
        )[0]
        adult = profile in ("enseignant", "personnel")
        channel = self.draw.choices(("web", "mobile", "software"), (5, 5, 3 if adult else 0))[0]
        access = self.draw.choice(
            ("direct", "unknown") if channel == "software" else ("direct", "ent", "ent", "unknown")
        )
        who = self.prefix + self.draw.choice(ODD_NAMES) + str(self.draw.randrange(3))
        line = connection(at, who, profile, channel, access)
        assert isinstance(line, dict)
        return {**line, "name": "canari-nom"} if self.draw.random() < 0.1 else line


def broken_lines(now: datetime) -> list[Line]:
    """At least one line of every reason, none of which may count."""
    good = {
        "at": now.isoformat(),
        "kind": "connection",
        "who": "x",
        "profile": "eleve",
        "channel": "web",
        "access": "ent",
    }
    work = {"at": now.isoformat(), "kind": "activity", "measure": "marks"}
    return [
        *BROKEN,
        {**good, "at": (now + timedelta(hours=24, minutes=1)).isoformat()},
        {**good, "at": (now - timedelta(days=800)).isoformat()},
        {**good, "kind": "telepathy"},
        {**good, "kind": None},
        {**good, "profile": "mairie"},
        {**good, "who": ""},
        {**good, "who": None},
        {**good, "channel": "fax"},
        {**good, "access": "vpn"},
        {**good, "channel": "software"},
        {**good, "profile": "enseignant", "channel": "software", "access": "ent"},
        {**work, "measure": "canari-humeur"},
        *({**work, "n": n} for n in (0, -3, 1_000_001, "7", True, 2.5)),
    ]


def beats(start: datetime, end: datetime, holes: list[tuple[datetime, datetime]]) -> list[tuple[datetime, Line]]:
    """A heartbeat every 50 minutes but in the holes."""
    found = []
    at = start
    while at <= end:
        if not any(since <= at < until for since, until in holes):
            found.append((at, heartbeat(at)))
        at += timedelta(minutes=50)
    return found


def write_nasty(path: Path, seed: int, now: datetime) -> TerritoryFolder:
    """A territory of twelve lines and one establishment without convention, as seen at `now`."""
    folder = TerritoryFolder(path)
    draw = random.Random(seed)
    for write in (_clean, _with_holes, _school, _rotated_overseas, _islands, _exported_by_windows, _sharing_a_file):
        write(folder, draw, now)
    for write in (_opened_and_closed, _late_and_ahead, _without_convention, _silent, _unobserved_yesterday):
        write(folder, draw, now)
    return folder


def _year_start(now: datetime, zone: str, years_ago: int = 0) -> datetime:
    local = now.astimezone(ZoneInfo(zone))
    year = local.year - (local.month < 9) - years_ago
    return datetime(year, 9, 1, tzinfo=ZoneInfo(zone))


def _traffic(folder: TerritoryFolder, draw: random.Random, place: Place) -> Traffic:
    return Traffic(draw, ZoneInfo(place.zone), prefix=f"{CANARY}-{place.uai}-")


def _plain(lines: list[tuple[datetime, Line]]) -> list[Line]:
    return [line for _, line in lines]


def _clean(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """Observed without a hole since the first day that still counts; equal lines are two facts; no last newline."""
    place = folder.add(Place(uai(750001), "Collège Élisée-Reclus", postal_codes=("75011", "75012")))
    lines = _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone, 1), now, per_day=4))
    doubled = [line for line in lines for _ in range(2 if draw.random() < 0.05 else 1)]
    folder.write(f"{place.uai}/journal.ndjson", doubled, last_newline=False)


def _with_holes(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """Heartbeats that begin last month and miss some hours, with facts inside the holes too."""
    place = folder.add(
        Place(BEATING[0], "Lycée Zola", type="lycee", postal_codes=("75012",)), journal=["journal.ndjson"]
    )
    holes = [
        (now - timedelta(days=days, hours=hours), now - timedelta(days=days))
        for days, hours in ((1, 5), (9, 30), (15, 3))
    ]
    lines = _traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=6)
    lines += beats(now - timedelta(days=40, minutes=7), now, holes)
    folder.write(f"{place.uai}/journal.ndjson", _plain(sorted(lines, key=lambda each: each[0])))


def _school(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """An école: adults are few, and leave per month."""
    place = folder.add(Place(uai(750003), "école Zoé", type="ecole", postal_codes=("75012",), convention="joint"))
    lines = _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone, 1), now, per_day=3))
    folder.write(f"{place.uai}/journal.ndjson", lines)


def _rotated_overseas(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """La Réunion: rotated by rename, older ones gzipped, one file there twice, names in the opposite order of time."""
    place = folder.add(
        Place(uai(9740004), "Collège de la Réunion", zone="Indian/Reunion", convention="joint"),
        journal="journal.ndjson*",
    )
    lines = _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=5))
    third = len(lines) // 3
    names = ("journal.ndjson.2.gz", "journal.ndjson.1", "journal.ndjson")
    for age, (name, part) in enumerate(
        zip(names, (lines[:third], lines[third : 2 * third], lines[2 * third :]), strict=True)
    ):
        written = folder.write(f"{place.uai}/{name}", part)
        os.utime(written, (now.timestamp() + age, now.timestamp() + age))
    folder.write(f"{place.uai}/journal.ndjson.1.gz", lines[third : 2 * third])


def _islands(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """Half past the hour, and half a day behind Paris; and the Antilles."""
    for number, name, zone in (
        (9870005, "Collège des Marquises", "Pacific/Marquesas"),
        (9710006, "Collège Schœlcher", "America/Guadeloupe"),
    ):
        place = folder.add(Place(uai(number), name, zone=zone, postal_codes=(f"{number // 10000}00",)))
        lines = _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=5))
        folder.write(f"{place.uai}/journal.ndjson", lines)


def _exported_by_windows(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """BOM, CRLF, blank lines, and every kind of broken line in between."""
    place = folder.add(Place(uai(750007), "College Elisee-Reclus", postal_codes=("75013",), convention="joint"))
    lines = _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=5))
    for broken in [*broken_lines(now), b"", b"   "]:
        lines.insert(draw.randint(1, len(lines)), broken)
    folder.write(f"{place.uai}/journal.ndjson", lines, newline=b"\r\n", bom=True)


def _sharing_a_file(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """A cité scolaire: two establishments that name the same file, each with a second one of its own."""
    first = folder.add(Place(uai(750008), "Cité Curie (collège)"), journal=["../cite/journal.ndjson", "own.ndjson"])
    second = folder.add(
        Place(uai(750009), "Cité Curie (lycée)", type="lycee", convention="joint"), journal=["../cite/journal.ndjson"]
    )
    start = _year_start(now, first.zone)
    folder.write("cite/journal.ndjson", _plain(_traffic(folder, draw, first).lines(start, now, per_day=4)))
    own = _traffic(folder, draw, second).lines(now - timedelta(days=20), now, per_day=4)
    folder.write(f"{first.uai}/own.ndjson", _plain(own))


def _opened_and_closed(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """One that opened three weeks ago, one closed last month, one that opens after today."""
    today = now.astimezone(ZoneInfo("Europe/Paris")).date()
    opened = today - timedelta(days=21)
    young = folder.add(Place(uai(750010), "Collège neuf", opened=opened))
    start = datetime.combine(opened, time(), ZoneInfo("Europe/Paris"))
    folder.write(f"{young.uai}/journal.ndjson", _plain(_traffic(folder, draw, young).lines(start, now, per_day=5)))
    closed = today - timedelta(days=33)
    old = folder.add(Place(uai(750011), "Collège fermé", closed=closed))
    end = datetime.combine(closed, time(18), ZoneInfo("Europe/Paris"))
    lines = _traffic(folder, draw, old).lines(_year_start(now, old.zone), end, per_day=5)
    folder.write(f"{old.uai}/journal.ndjson", _plain(lines))
    folder.add(Place(uai(750012), "Collège à venir", opened=today + timedelta(days=5)), journal=None)


def _late_and_ahead(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """Lines that arrive after the sets of their day or month are purged, and lines ahead of the clock by less than a day."""
    place = folder.add(Place(DISORDERLY, "Collège en désordre", postal_codes=("75011",)))
    lines = _traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=6)
    shuffled = [
        (at + timedelta(days=draw.choice([0, 0, 0, 0, 2, 12, 45])), index, line)
        for index, (at, line) in enumerate(lines[1:])
    ]
    late = [lines[0][1], *(line for _, _, line in sorted(shuffled, key=lambda each: each[:2]))]
    ahead = [connection(now + timedelta(hours=hours), f"{CANARY}-{place.uai}-ahead") for hours in (1, 23)]
    folder.write(f"{place.uai}/journal.ndjson", [*late, *ahead])


def _without_convention(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    place = folder.add(Place(uai(750014), "Collège sans convention", convention="none"))
    folder.write(
        f"{place.uai}/journal.ndjson",
        _plain(_traffic(folder, draw, place).lines(_year_start(now, place.zone), now, per_day=5)),
    )


def _silent(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """No source at all, a source that is not there, and one in which no line counts."""
    folder.add(Place(uai(750015), "Collège muet"), journal=None)
    folder.add(Place(uai(750016), "Collège débranché"), journal="gone/*.ndjson")
    place = folder.add(Place(uai(750017), "=Collège illisible"))
    folder.write(f"{place.uai}/journal.ndjson", broken_lines(now))


def _unobserved_yesterday(folder: TerritoryFolder, draw: random.Random, now: datetime) -> None:
    """The agent's source was down for three days around yesterday: what arrived since cannot make the day observed."""
    place = folder.add(Place(BEATING[1], "Collège en panne"))
    start = now - timedelta(days=50)
    lines = _traffic(folder, draw, place).lines(start, now, per_day=6)
    lines += beats(start, now, [(now - timedelta(days=3), now + timedelta(days=1))])
    folder.write(f"{place.uai}/journal.ndjson", _plain(sorted(lines, key=lambda each: each[0])))

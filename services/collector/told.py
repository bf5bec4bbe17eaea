"""What the agent's commands found, in lines for a person; `--json` prints the documents themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NAMED = 10
"""Days told in one line; `--json` has them all."""


def check(found: dict[str, Any]) -> Iterator[str]:
    for error in found["errors"]:
        yield "error  " + ": ".join(filter(None, (error["file"], error["field"], error["detail"])))
    yield from (f"{'ok   ' if each['ok'] else 'wrong'}  {each['what']}: {each['detail']}" for each in found["site"])
    yield from (
        f"{uai}  neither read nor published: not granted, or no convention is in force" for uai in found["left_out"]
    )
    for each in found["establishments"]:
        yield f"{each['uai']}  {each['lines']} lines, from {each['first'] or '-'} to {each['last'] or '-'}"
        yield from (f"  {family:28}{each['counts'].get(family, 0):>12,}" for family in each["families"])
        yield from (f"  {each['file']}: {each['format']} {each['detail']}".rstrip() for each in each["files"])
        yield from (f"  set aside, {reason:27}{n:>2,}" for reason, n in each["set_aside"].items() if n)
        yield from _census(each["census"])
        yield from (f"  not observed: {problem}" for problem in each["problems"])
        yield from (f"  look at: {warning}" for warning in each["warnings"])


def status(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['agent']}  version {found['version']}, by {found['outlet']}"
    yield from _platform(found["platform"])
    for each in found["establishments"]:
        yield (
            f"{each['uai']}  to publish: {each['to_publish']}, held: {each['held']}, "
            f"last acknowledgement: {each['acknowledged'] or '-'}"
        )
        yield from (f"  granted: {_granted(grant)}" for grant in each["grants"])
        for name, source in each["sources"].items():
            yield (
                f"  {name}: {source['bytes']:,} bytes read, {source['unread_bytes']:,} to read, last line "
                f"{source['last'] or '-'}, observed until {source['observed_until'] or '-'}"
            )
        yield from problems(each)
        yield from _census(each["census"])


def _platform(platform: dict[str, Any]) -> Iterator[str]:
    if not platform["url"]:
        return
    yield (
        f"  {platform['url']}: last hello {platform['last_hello'] or '-'}, every {platform['cadence_seconds']:g} s, "
        f"clock {platform['clock_ahead_seconds']:+.0f} s, minimum version {platform['minimum_version'] or '-'}"
    )
    if platform["key_until"]:
        yield f"  the key before this one is valid until {platform['key_until']}"
    if platform["failure"]:
        yield f"  no hello since {platform['failing_since']}: {platform['failure']}"
    if platform["waiting_for_first_hello"]:
        yield "  the platform has not said yet what this agent may count: nothing is read"
    if platform["too_old"]:
        yield f"  too old for the platform ({platform['minimum_version']} is wanted): it counts, and publishes once upgraded"
    yield from (f"  the platform says: {remark}" for remark in platform["remarks"])


def _granted(grant: dict[str, Any]) -> str:
    days = [f"{word} {grant[word]}" for word in ("from", "to") if grant[word]]
    return " ".join((grant["family"], *days))


def _census(census: dict[str, Any]) -> Iterator[str]:
    yield from (f"  census {file['date']}, {file['file']}: {file['rows']:,} rows" for file in census["files"])
    for fault in census["faults"]:
        where = [f"census {fault['date']}".strip(), fault["file"], f"line {fault['line']}" if fault["line"] else ""]
        said = " ".join(filter(None, (fault["reason"], fault["column"])))
        yield f"  refused, {', '.join(filter(None, where))}: {said}"


def problems(each: dict[str, Any]) -> Iterator[str]:
    """What an establishment's status says that its operator should look at."""
    for event, details in each["problems"].items():
        yield from (f"  {event.replace('_', ' ')}: {detail}" for detail in details)
    if each["set_aside"]:
        yield "  set aside: " + ", ".join(f"{n:,} {reason}" for reason, n in each["set_aside"].items())


def restate(found: dict[str, Any]) -> Iterator[str]:
    yield f"counted again since {found['since']}"
    for uai, files in found["files_gone"].items():
        if files:
            yield f"  {uai}: {len(files)} files that had been read are gone or end earlier"
        if days := found["days_gone"][uai]:
            yield f"  {uai}: the sources no longer tell of {len(days)} days, which stay as they were: {_in_short(days)}"
        if periods := found["periods_left"][uai]:
            yield f"  {uai}: so do the periods that hold such days: {_in_short(periods)}"


def _in_short(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= MOST_NAMED else f"{', '.join(names[:MOST_NAMED])} …"


def enrolment(found: dict[str, Any]) -> Iterator[str]:
    yield f"enrolled as {found['agent']}"
    yield from (f"  written: {path}" for path in found["written"])
    for each in found["establishments"]:
        yield f"  {each['uai']}  {each['name']}: {', '.join(each['families']) or 'nothing granted yet'}"
        if not each["collected"]:
            yield "    no convention is in force: nothing is collected"
        if not each["in_settings"]:
            yield f"    not in {found['settings']}: add an [[establishment]] for it"
    yield f"next: say in each folder's agent.toml what is read, then territoriale agent check --settings {found['settings']}"


def rotation(found: dict[str, Any]) -> Iterator[str]:
    if found["replaced"]:
        yield f"the new key signs from now on; the old one is valid until {found['old_valid_until'] or '-'}"
    else:
        yield "the new key is ready: the running agent announces it at its next hello"


def imported(found: dict[str, Any]) -> Iterator[str]:
    for each in found["establishments"]:
        yield f"{each['uai']}  {found['school_year']}: {', '.join(each['changed']) or 'nothing new'}"
        yield from (f"  {family:28}{n:>12,}" for family, n in each["families"].items())
        yield from (f"  refused, {fault}" for fault in each["faults"])
        if each["faults"]:
            yield "  nothing of this establishment is imported until every line is right"

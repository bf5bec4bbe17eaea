"""The settings that `agent enrol` writes, with the explanations that whoever edits them needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from contracts.fleet import Enrolled, ServedEstablishment
    from contracts.registry import Grant


def settings_text(answer: Enrolled, places: Mapping[str, str], folders: Mapping[str, Path]) -> str:
    """The process's file; `places`: state, key, url and ca; `folders`: of each establishment's sources."""
    lines = [
        "# Agent of the Console territoriale. Written by `territoriale agent enrol`; edit it, then `territoriale agent check`.",
        "# Paths are relative to this file.",
        f"agent = {text(answer.agent)}",
        f"state = {text(places['state'])}    # counters, keyed digests and positions: private, never sent",
        f"key = {text(places['key'])}    # private key: it never leaves this machine",
        "# cadence_seconds = 300    # only until the platform has said its own",
        "# rotate_key_days = 365    # a new key after so many days; `territoriale agent rotate-key` does it now",
        f'{"" if answer.kafka else "# "}outlet = "https"    # or "kafka", straight to the brokers, where the platform gives them',
        "",
        "[gateway]",
        f"url = {text(places['url'])}",
        f"ca = {text(places['ca'])}"
        if places["ca"]
        else '# ca = "authority.pem"    # a private authority that vouches for the gateway',
        "# A proxy is taken from HTTPS_PROXY and NO_PROXY.",
    ]
    if answer.kafka:
        lines += ["", '# Used with outlet = "kafka" only.', "[kafka]", f"bootstrap = {text(answer.kafka)}"]
        lines += ['# security = "sasl-tls"', '# user = "…"', '# password_file = "kafka.password"']
    for each in answer.establishments:
        lines += ["", *_establishment(each, answer.grants, folders[each.uai])]
    return "\n".join(lines) + "\n"


def _establishment(each: ServedEstablishment, grants: Sequence[Grant], folder: Path) -> list[str]:
    granted = [f"#   {_granted(grant)}" for grant in grants if grant.uai == each.uai]
    return [
        f"# {_comment(each.name)}" + ("" if each.collected else ": no convention is in force, so nothing is collected"),
        "# The platform grants, at the time of enrolment:",
        *(granted or ["#   nothing yet"]),
        "[[establishment]]",
        f"uai = {text(each.uai)}",
        f"zone = {text(each.zone)}",
        f"type = {text(each.type)}",
        f"sources = {text(folder.as_posix())}    # folder with an agent.toml that names what is read",
    ]


def _granted(grant: Grant) -> str:
    days = [f"from {grant.from_day}" if grant.from_day else "", f"to {grant.to_day}" if grant.to_day else ""]
    return " ".join(filter(None, (grant.family, *days)))


def sources_text(establishment: ServedEstablishment, families: Sequence[str]) -> str:
    """An establishment's `agent.toml`: nothing is read until a line is uncommented."""
    return f"""# Sources of {establishment.uai}, {_comment(establishment.name)}. What is absent is not read.
# Paths are relative to this folder: a path, a pattern, or a list of them.
# Granted: {", ".join(families) or "nothing yet"}

# journal = "journal-*.ndjson"
# access_log = "access.log*"
# hosts = ["pronote.example.fr"]         # names of the server beside <uai>.index-education.net
# host_first = false                     # true: each line of the log begins with its host
# cas = true                             # false: there is no ENT, so a plain arrival is direct
# connections_from = "journal"           # or "access-log"
# census = "census"                      # census/<YYYY-MM-DD>/comptes.csv …
# census_afterwards = "left"             # or "archived", "deleted"
"""


def text(value: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(value: str) -> str:
    """A name that stays within its comment, whatever it holds."""
    return " ".join("".join(each if each.isprintable() else " " for each in value).split())

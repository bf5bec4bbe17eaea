"""The access-log source's pure part (rules.md 4): lines of web servers in, presumed authenticated connections out.

log = AccessLog([Establishment("0750001U", hosts=("pronote.college.fr",), cas=True)], secret, state=stored)
facts = log.read(lines, file="7f3a", now=now)   # or, at the end of the files: log.flush()
…store facts, positions and log.state() in one transaction…
"""

from services.collector.access_log.facts import Access, Connection, Fact, Reason, SetAside
from services.collector.access_log.log import AccessLog, UnreadableStateError
from services.collector.access_log.places import Establishment, HostOfTwoError
from services.collector.access_log.rules import Rules, Years, load_rules, load_years

__all__ = [
    "Access",
    "AccessLog",
    "Connection",
    "Establishment",
    "Fact",
    "HostOfTwoError",
    "Reason",
    "Rules",
    "SetAside",
    "UnreadableStateError",
    "Years",
    "load_rules",
    "load_years",
]

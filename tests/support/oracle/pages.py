"""The tables beyond Connexions: their columns, straight from interfaces.md, console.md 2 and rules.md 7."""

from __future__ import annotations

from dataclasses import replace

from tests.support.oracle.census import Measure, added, pupils_accounts, rows, valued, where, within
from tests.support.oracle.columns import Column, Number, Since, census, journal, of_level, sum_of
from tests.support.oracle.levels import EVERY_LEVEL, OTHER

# --- Accueil


def _accounts(*profiles: str, since: int = 2010) -> Number:
    return Number(census("comptes", where("profil", *profiles) if profiles else rows), Since(since))


_ALL_ACCOUNTS = _accounts()
_PUPILS_ACCOUNTS = _accounts("eleve")
ACCUEIL = [
    Column("total", _ALL_ACCOUNTS),
    Column("admin", _accounts("administratif"), _ALL_ACCOUNTS),
    Column("teachers", _accounts("enseignant"), _ALL_ACCOUNTS),
    Column("school_life", _accounts("vie_scolaire"), _ALL_ACCOUNTS),
    Column("support", _accounts("accompagnant", since=2020), _ALL_ACCOUNTS),
    Column("other", _accounts("autre", since=2021), _ALL_ACCOUNTS),
    Column("pupils", _PUPILS_ACCOUNTS, _ALL_ACCOUNTS),
    Column("pupils.girls", Number(census("comptes", pupils_accounts("F"))), _PUPILS_ACCOUNTS),
    Column("pupils.boys", Number(census("comptes", pupils_accounts("M"))), _PUPILS_ACCOUNTS),
    Column("guardians", _accounts("responsable"), _ALL_ACCOUNTS),
]

# --- Moyens généraux


def _pupils(column: str, value: str, since: int = 2010) -> Column:
    """Doubt: the rate is over all pupils, those without a value in that column included."""
    return Column("", Number(census("eleves", where(column, value)), Since(since)), PUPILS)


def _staff(category: str, since: int = 2010) -> Number:
    return Number(census("personnels", where("categorie", category)), Since(since))


PUPILS = Number(census("eleves", rows))
TEACHERS = _staff("enseignant")
CLASSES = Number(census("classes", rows))
STAFF = {
    "admin": _staff("administratif"),
    "school_life": _staff("vie_scolaire"),
    "support": _staff("accompagnant", 2020),
    "other": _staff("autre", 2021),
}
MOYENS = [
    Column("staff", Number(sum_of(*STAFF.values()))),
    *(Column(f"staff.{name}", number) for name, number in STAFF.items()),
    *(
        Column(f"pupils_per.{name}", replace(PUPILS, since=number.since), number, always="ratio")
        for name, number in STAFF.items()
    ),
    Column("teachers", TEACHERS),
    Column("pupils_per.teacher", PUPILS, TEACHERS, always="ratio"),
    Column("guardians", _accounts("responsable")),
    Column("pupils", PUPILS),
    replace(_pupils("sexe", "M"), id="boys"),
    replace(_pupils("sexe", "F"), id="girls"),
    replace(_pupils("regime", "DP"), id="half_boarders"),
    replace(_pupils("regime", "INT"), id="boarders"),
    replace(_pupils("hors_secteur", "O", 2021), id="out_of_sector"),
    replace(_pupils("transport", "O"), id="public_transport"),
    Column("classes", CLASSES),
    Column("pupils_per.class", PUPILS, CLASSES, always="ratio"),
    Column("rooms", Number(census("salles", rows))),
    Column(
        "occupancy",
        Number(census("salles", added("creneaux_occupes"))),
        Number(census("salles", added("creneaux_ouverts"))),
        always="rate",
    ),
]

# --- Social

ABSENCE, LATENESS, MEASURES = Since(2010), Since(2010), Since(2019)
INCIDENTS, EXCLUSIONS, PUNISHMENTS, SANCTIONS = (Since(year, own=True) for year in (2014, 2010, 2010, 2010))
ACCOMPANIED, DROPOUT, PLANS, MEDICAL = Since(2020, own=True), Since(2018), Since(2014), Since(2014, own=True)
_SOCIAL_PUPILS = Number(census("eleves", rows), social=True)
YES = "O"
ELEVES = {
    "plans": (PLANS, added("plans"), within("plans", 1, None)),
    "medical_plans": (MEDICAL, added("plans_medicaux"), within("plans_medicaux", 1, None)),
    "accompanied": (ACCOMPANIED, where("accompagne", YES), where("accompagne", YES)),
    "dropout": (DROPOUT, where("decrochage", YES), where("decrochage", YES)),
}
"""What is counted, and which pupils its rate is made of."""
HALF_DAYS = {"b0": (0, 0), "b1_4": (1, 4), "b5_9": (5, 9), "b10_19": (10, 19), "b20": (20, None)}
TIMES = {"b0": (0, 0), "b1_2": (1, 2), "b3_5": (3, 5), "b6": (6, None)}
BANDED = {
    "absence_half_days": (ABSENCE, "absences", HALF_DAYS),
    "lateness": (LATENESS, "retards", HALF_DAYS),
    "sanctions": (SANCTIONS, "sanctions", TIMES),
    "punishments": (PUNISHMENTS, "punitions", TIMES),
    "incidents": (INCIDENTS, "incidents", TIMES),
}


def _of_pupils() -> list[Column]:
    found = []
    for name, (since, number, pupils) in ELEVES.items():
        found.append(Column(name, Number(census("eleves", number), since, social=True)))
        counted = Number(census("eleves", pupils), since, social=True)
        found.append(Column(f"{name}.rate", counted, _SOCIAL_PUPILS, always="rate"))
    return found


def _banded(measure: str) -> list[Column]:
    """A flow of the window, then bands of the pupils who have a value."""
    since, column, bands = BANDED[measure]
    everyone = Number(census("eleves", valued(column)), since, social=True)

    def pupils(least: int, most: int | None) -> Number:
        return Number(census("eleves", within(column, least, most)), since, social=True)

    return [
        Column(measure, Number(journal(measure), since, social=True)),
        *(Column(f"{measure}.{band}", pupils(*ends), everyone, "rate") for band, ends in bands.items()),
    ]


def _measure_alone(measure: str, since: Since) -> Column:
    return Column(measure, Number(journal(measure), since, social=True))


ASSIDUITE = [*_banded("absence_half_days"), *_banded("lateness")]
DISCIPLINE = [
    *(column for measure in ("sanctions", "punishments", "incidents") for column in _banded(measure)),
    _measure_alone("lesson_exclusions", EXCLUSIONS),
    _measure_alone("protective_measures", MEASURES),
]

# --- Scolarité, Communications, Demandes de travaux

FIRST_YEARS = {
    "evaluations_marked": 2011,
    "evaluations_competence": 2011,
    "evaluations_with_subject": 2011,
    "evaluations_with_key": 2011,
    "forums": 2022,
    "quizzes": 2014,
    "textbooks": 2015,
    "copies_handed_in": 2017,
    "copies_corrected": 2020,
    "informations": 2014,
    "useful_links": 2021,
    "emails": 2014,
    "maileva_letters": 2015,
    "discussions": 2014,
    "polls": 2015,
    "requests_maintenance": 2016,
    "requests_it": 2016,
    "requests_secretarial": 2016,
}
"""Indicators 37 to 57 and 77 to 80; columns without a number (placements, prints, SMS, PDF, lockers) go back to 2010.

Doubt: indicators 45 and 58, the tables they would detail, are ranges, but "first year per member".
"""


def _flow(measure: str, over: Number | None = None) -> Column:
    return Column(measure, Number(journal(measure), Since(FIRST_YEARS.get(measure, 2010))), over)


_GIVEN, _HANDED_IN = _flow("work_given"), _flow("copies_handed_in")
_EVALUATIONS = Number(journal("evaluations_marked", "evaluations_competence"), Since(2011))
KINDS_OF_EVALUATIONS = tuple(f"evaluations_{kind}" for kind in ("marked", "competence", "with_subject", "with_key"))
RESOURCES = ("quizzes", "documents", "web_links", "textbooks", "forums")
SCOLARITE = [
    *(_flow(measure) for measure in RESOURCES),
    _flow("lesson_contents"),
    _GIVEN,
    _flow("work_online", _GIVEN.number),
    _HANDED_IN,
    _flow("copies_corrected", _HANDED_IN.number),
    Column("evaluations", _EVALUATIONS),
    *(_flow(measure, _EVALUATIONS) for measure in KINDS_OF_EVALUATIONS),
    _flow("placements"),
]
"""Doubt: quizzes submitted, accesses to textbooks and marks have indicators but no column on the page."""

COMMUNICATIONS_MEASURES = (
    *("discussions", "messages", "informations", "polls", "printed_documents", "emails", "sms", "maileva_letters"),
    *("pdf_documents", "agenda_events", "locker_documents", "useful_links"),
)
COMMUNICATIONS = [_flow(measure) for measure in COMMUNICATIONS_MEASURES]
_KINDS = ("maintenance", "it", "secretarial")
_REQUESTS = Number(journal(*(f"requests_{kind}" for kind in (*_KINDS, "order"))), Since(2016))
TRAVAUX = [Column("requests", _REQUESTS), *(_flow(f"requests_{kind}", _REQUESTS) for kind in _KINDS)]

# --- Détails par niveaux


def _levels_of_pupils(since: Since, pupils: Measure, *, social: bool, over_all: bool = False) -> list[Column]:
    """Level tables count pupils: over all pupils, or over those of that level."""

    def number(level: str, measure: Measure) -> Number:
        at_level = census("eleves", lambda file: measure(file.of_level(level)))
        return Number(of_level(level, at_level), since, social)

    return [Column(level, number(level, pupils), PUPILS if over_all else number(level, rows)) for level in EVERY_LEVEL]


def _levels_of_flow(measure: str, since: Since, *, social: bool = False) -> list[Column]:
    """Flows over the establishment's total over levels; what has no level stands last."""
    whole = Number(journal(measure), since, social)
    return [
        Column(level, Number(of_level(level, journal(measure, level=level)), since, social), whole)
        for level in (*EVERY_LEVEL, OTHER)
    ]


SCOLARITE_MEASURES = (
    *RESOURCES,
    *("lesson_contents", "work_given", "work_online", "copies_handed_in", "copies_corrected"),
    *KINDS_OF_EVALUATIONS,
    "placements",
)
_FLOWS_OF_PUPILS = {name: since for name, (since, _, _) in BANDED.items()} | {"protective_measures": MEASURES}

PAGES: dict[str, list[Column]] = {
    "accueil.comptes": ACCUEIL,
    "moyens.etablissements": MOYENS,
    "moyens.niveaux": _levels_of_pupils(Since(), rows, social=False, over_all=True),
    "social.eleves": _of_pupils(),
    "social.assiduite": ASSIDUITE,
    "social.discipline": DISCIPLINE,
    "scolarite.etablissements": SCOLARITE,
    "communications.etablissements": COMMUNICATIONS,
    "travaux.etablissements": TRAVAUX,
}
PAGES |= {
    f"social.niveaux.{name}": _levels_of_pupils(ELEVES[name][0], ELEVES[name][2], social=True)
    for name in ("plans", "medical_plans", "dropout")
}
PAGES |= {
    f"social.niveaux.{name}": _levels_of_flow(name, since, social=True) for name, since in _FLOWS_OF_PUPILS.items()
}
PAGES |= {
    f"{theme}.niveaux.{measure}": _levels_of_flow(measure, Since(FIRST_YEARS.get(measure, 2010)))
    for theme, measures in (("scolarite", SCOLARITE_MEASURES), ("communications", COMMUNICATIONS_MEASURES))
    for measure in measures
}

BY_SCHOOL_YEAR = ("accueil.comptes", "moyens.etablissements", "moyens.niveaux")
"""Given a window they use its school year, that of its last day."""
WITHOUT_RATES = ("social.eleves", "social.assiduite", "social.discipline", "communications.etablissements")
"""Doubt: Ressources and Stages have no switch either, but their table shares one with the Cahier de textes; the level
tables of Social have one on the page, so those of Communications are given theirs."""

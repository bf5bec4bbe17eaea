-- The agent's state. Times are UTC timestamps; `changed` follows the business clock, `acknowledged` the real one.
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS establishment (
    id INTEGER PRIMARY KEY, uai TEXT NOT NULL UNIQUE, acknowledged REAL
);
CREATE TABLE IF NOT EXISTS period (
    id INTEGER PRIMARY KEY, establishment INTEGER NOT NULL, family TEXT NOT NULL, grain TEXT NOT NULL, start TEXT NOT NULL,
    held INTEGER NOT NULL, restatement INTEGER NOT NULL DEFAULT 0, revision INTEGER NOT NULL DEFAULT 1,
    published INTEGER NOT NULL DEFAULT 0, changed REAL NOT NULL,
    UNIQUE (establishment, family, grain, start, held)
);
CREATE INDEX IF NOT EXISTS to_publish ON period (establishment) WHERE published < revision;
CREATE TABLE IF NOT EXISTS cell (
    period INTEGER NOT NULL, code INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (period, code)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people_set (
    id INTEGER PRIMARY KEY, establishment INTEGER NOT NULL, profile TEXT NOT NULL, grain TEXT NOT NULL, start TEXT NOT NULL,
    closes REAL NOT NULL, kept_until REAL NOT NULL, purged INTEGER NOT NULL DEFAULT 0, UNIQUE (establishment, profile, grain, start)
);
CREATE TABLE IF NOT EXISTS person (
    people_set INTEGER NOT NULL, digest INTEGER NOT NULL, mask INTEGER NOT NULL, PRIMARY KEY (people_set, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (
    establishment INTEGER NOT NULL, name TEXT NOT NULL, earliest REAL, newest REAL, stood REAL, observed REAL,
    PRIMARY KEY (establishment, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heartbeat (
    establishment INTEGER NOT NULL, source TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (establishment, source, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, establishment INTEGER NOT NULL, source TEXT NOT NULL, position INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS head (
    file INTEGER NOT NULL, length INTEGER NOT NULL, digest BLOB NOT NULL, current INTEGER NOT NULL,
    PRIMARY KEY (file, length)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped_day (
    establishment INTEGER NOT NULL, day TEXT NOT NULL, counted INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (establishment, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS open_sessions (
    establishment INTEGER PRIMARY KEY, state BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS census_file (
    establishment INTEGER NOT NULL, day TEXT NOT NULL, file TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
    written INTEGER NOT NULL, counted INTEGER NOT NULL, rows INTEGER NOT NULL, story BLOB NOT NULL,
    PRIMARY KEY (establishment, day, file)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problem (
    establishment INTEGER NOT NULL, event TEXT NOT NULL, place INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (establishment, event, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS small_profile (
    establishment INTEGER NOT NULL, month TEXT NOT NULL, profiles TEXT NOT NULL, PRIMARY KEY (establishment, month)
) WITHOUT ROWID;

"""The tables of the host's database; a change of them is a new entry of MIGRATIONS, never an edit of an old one."""

from __future__ import annotations

_FIRST = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,             -- the name, folded: no two look alike
    password TEXT NOT NULL DEFAULT '',    -- argon2id, or '' for none
    organiser INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL
);
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES users,
    hash TEXT NOT NULL UNIQUE,            -- SHA-256 of 256 random bits
    hint TEXT NOT NULL,                   -- its first characters, to tell tokens apart
    created TEXT NOT NULL,
    revoked TEXT
);
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users,
    csrf TEXT NOT NULL,
    expires TEXT NOT NULL
);
CREATE TABLE teams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    competition TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    leader INTEGER NOT NULL REFERENCES users,
    baseline INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL,
    merged_into INTEGER REFERENCES teams
);
CREATE UNIQUE INDEX team_names ON teams (competition, key) WHERE merged_into IS NULL;
CREATE TABLE members (
    competition TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users,
    team INTEGER NOT NULL REFERENCES teams,
    joined TEXT NOT NULL,
    PRIMARY KEY (competition, user)
);
CREATE INDEX members_of_teams ON members (team);
CREATE TABLE offers (                     -- invitations of users, and proposals of mergers
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('invite', 'merge')),
    competition TEXT NOT NULL,
    team INTEGER NOT NULL REFERENCES teams,
    user INTEGER REFERENCES users,        -- who is invited
    other INTEGER REFERENCES teams,       -- who is to be merged with
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'declined', 'withdrawn')),
    created TEXT NOT NULL
);
CREATE TABLE uploads (
    hash TEXT PRIMARY KEY,                -- SHA-256 of the token; the name of the file too
    competition TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users,
    file_name TEXT NOT NULL,
    declared INTEGER NOT NULL,
    sha256 TEXT,                          -- once all of it is here
    submission INTEGER,
    expires TEXT NOT NULL
);
CREATE TABLE submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    competition TEXT NOT NULL,
    team INTEGER NOT NULL REFERENCES teams,
    user INTEGER NOT NULL REFERENCES users,
    at TEXT NOT NULL,
    day TEXT NOT NULL,                    -- of the quota, in UTC
    blob TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    message TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'grading', 'scored', 'failed', 'cancelled')),
    counts INTEGER NOT NULL DEFAULT 1,    -- against the quota
    late INTEGER NOT NULL DEFAULT 0,
    picked INTEGER NOT NULL DEFAULT 0,
    public REAL,                          -- as graded
    shown REAL,                           -- as told: the same, but under the Ladder rule
    private REAL,
    error TEXT NOT NULL DEFAULT '',
    graded TEXT
);
CREATE INDEX submissions_of_teams ON submissions (competition, team, day);
CREATE INDEX submissions_waiting ON submissions (status, id);
CREATE TABLE grades (                     -- every score that a submission ever had
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    submission INTEGER NOT NULL REFERENCES submissions,
    metric TEXT NOT NULL,
    public REAL,
    private REAL,
    error TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE shares (                     -- attempts that teams publish
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    competition TEXT NOT NULL,
    team INTEGER NOT NULL REFERENCES teams,
    user INTEGER NOT NULL REFERENCES users,
    at TEXT NOT NULL,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    change TEXT NOT NULL,                 -- the kind of change, by which verdicts are pooled
    verdict TEXT NOT NULL CHECK (verdict IN ('YES', 'NO', 'UNSURE')),
    gain REAL,
    link TEXT NOT NULL,
    code TEXT NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    competition TEXT NOT NULL,
    kind TEXT NOT NULL,
    team INTEGER,                         -- who alone may see it; NULL: everybody
    data TEXT NOT NULL
)
"""

_EVENTS_BY_KIND = "CREATE INDEX events_of_kinds ON events (competition, kind, id)"

_CLAIMS = "ALTER TABLE submissions ADD COLUMN claim TEXT NOT NULL DEFAULT ''"
"""Of which grading an answer is: a random text for each; the answer of an older one is dropped."""

MIGRATIONS: tuple[str, ...] = (_FIRST, _EVENTS_BY_KIND, _CLAIMS)

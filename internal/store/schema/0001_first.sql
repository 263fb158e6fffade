-- Settings changed while the program runs. They stand above the settings file
-- and below the environment and the command line.
CREATE TABLE settings (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL,
	at    INTEGER NOT NULL -- Unix time in ms, as everywhere here
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
	id      INTEGER PRIMARY KEY,
	boot    TEXT NOT NULL,    -- the process that told it
	seq     INTEGER NOT NULL, -- its number in that process
	at      INTEGER NOT NULL,
	type    TEXT NOT NULL,
	message TEXT NOT NULL,
	attrs   TEXT NOT NULL,    -- a JSON object of strings
	UNIQUE (boot, seq)
) STRICT;
CREATE INDEX events_at ON events (at);

-- What engines told about names of contents.
CREATE TABLE names (
	kind     TEXT NOT NULL,
	value    TEXT NOT NULL,
	infohash TEXT NOT NULL,
	mistaken INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX names_at ON names (at);

-- What came of playing contents on engines.
CREATE TABLE plays (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	content    TEXT NOT NULL,
	engine     TEXT NOT NULL, -- empty where none was reached
	what       TEXT NOT NULL, -- start: it was asked for; try: an engine failed to; source: one failed while it played
	result     TEXT NOT NULL, -- ok, or the code of the error or failure
	first_byte INTEGER        -- ms from the request to the first byte, of a start that went well
) STRICT;
CREATE INDEX plays_at ON plays (at);
CREATE INDEX plays_content ON plays (content);
CREATE INDEX plays_engine ON plays (engine);

CREATE TABLE users (
	name    TEXT PRIMARY KEY,
	hash    TEXT NOT NULL, -- of the password, argon2id in PHC form
	scope   TEXT NOT NULL,
	changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
	id      TEXT PRIMARY KEY,
	name    TEXT NOT NULL,
	scope   TEXT NOT NULL,
	hash    BLOB NOT NULL UNIQUE, -- SHA-256: keys are random and long
	created INTEGER NOT NULL,
	used    INTEGER,
	expires INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
	id      TEXT PRIMARY KEY,
	user    TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	hash    BLOB NOT NULL UNIQUE,
	agent   TEXT NOT NULL,
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires);

-- Facts of the recording: producer, subject, depth, budget_ns, pid, start_unix_ns, end_ns and what it was started with.
CREATE TABLE recording (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- What was called. Equal names in two resources are two symbols.
CREATE TABLE symbols (
    id INTEGER PRIMARY KEY, runtime TEXT, resource TEXT, name TEXT, file TEXT, line INTEGER
);

-- Stacks of spans: threads, coroutines, operations.
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY, kind TEXT, parent INTEGER, os_id INTEGER, name TEXT, resource TEXT
);

-- Times are nanoseconds since the recording's start. span: the tick's own; numbers begin again when the host is started anew.
CREATE TABLE ticks (
    span INTEGER PRIMARY KEY, number INTEGER, begin_ns INTEGER, duration_ns INTEGER, late INTEGER, open INTEGER,
    run_delay_ns INTEGER, involuntary INTEGER, bytes INTEGER
);

-- self_ns: in which it was innermost on its thread; NULL where no thread runs it. tick: the one it began in, as ticks.span.
CREATE TABLE spans (
    id INTEGER PRIMARY KEY, track INTEGER, symbol INTEGER, category TEXT, begin_ns INTEGER, duration_ns INTEGER,
    self_ns INTEGER, bytes INTEGER, outcome TEXT, parent INTEGER, tick INTEGER, link INTEGER, link_kind TEXT
);

-- Where links come from: spans.link names one of these, or a span.
CREATE TABLE link_points (id INTEGER PRIMARY KEY, span INTEGER, track INTEGER, time_ns INTEGER);

CREATE TABLE instants (
    id INTEGER PRIMARY KEY, time_ns INTEGER, track INTEGER, symbol INTEGER, category TEXT
);

CREATE TABLE counters (time_ns INTEGER, track INTEGER, symbol INTEGER, value);

CREATE TABLE span_args (span INTEGER, key TEXT, value);
CREATE TABLE instant_args (instant INTEGER, key TEXT, value);

-- Spans with the names of what they called and of their tracks.
CREATE VIEW named_spans AS
    SELECT spans.*, symbols.resource, symbols.name, symbols.file, symbols.line, tracks.name AS track_name
    FROM spans LEFT JOIN symbols ON symbols.id = spans.symbol LEFT JOIN tracks ON tracks.id = spans.track;

-- What caused what: a span, and the one that triggered, called, spawned or answered it.
CREATE VIEW links AS
    SELECT spans.id AS target, coalesce(link_points.span, spans.link) AS source, spans.link_kind AS kind
    FROM spans LEFT JOIN link_points ON link_points.id = spans.link WHERE spans.link IS NOT NULL;

"""A ledger over HTTP, in SQLite or PostgreSQL, and its migrations.

Releases differ in what they call a column: first it is amount, then cents. They write to the table and read through a view
that both know, so that the release before can still read while the column changes its name: writes are held then, reads are not.
The table numbers its rows itself, so that a write that came twice is there twice.

    ledger.py serve                  answers until it is told to end
    ledger.py create                 the first migration: there is nothing yet
    ledger.py rename [fail | hang]   the second one, and two that go wrong
    ledger.py undo                   after one that went wrong, however far it had come
"""

import http.server
import json
import os
import signal
import socketserver
import sys
import threading
import time

DATABASE = os.environ["DATABASE"]  # a file for SQLite, or how PostgreSQL is reached: "host=/run/postgresql ..."
POSTGRES = "host=" in DATABASE
COLUMN = os.environ.get("COLUMN", "amount")
RELEASE = os.environ.get("SEMPER_RELEASE", "")
MARK = "%s" if POSTGRES else "?"

if POSTGRES:
    import psycopg2 as driver
else:
    import sqlite3 as driver

here = threading.local()


def connection():
    """The connection of this thread. Each statement commits for itself."""
    if not hasattr(here, "db"):
        if POSTGRES:
            here.db = driver.connect(DATABASE)
            here.db.autocommit = True
        else:
            here.db = driver.connect(DATABASE, timeout=60, isolation_level=None)
            here.db.execute("PRAGMA journal_mode=WAL")
    return here.db


def run(statement, *values):
    cursor = connection().cursor()
    cursor.execute(statement, values)
    return cursor


def columns():
    if POSTGRES:
        found = run("SELECT column_name FROM information_schema.columns WHERE table_name = 'entry'")
    else:
        found = run("SELECT name FROM pragma_table_info('entry')")
    return {row[0] for row in found.fetchall()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(200, "ok")
        found = run(f"SELECT value FROM ledger WHERE token = {MARK}", self.path.removeprefix("/entries/")).fetchall()
        self.answer(200 if found else 404, {"values": [row[0] for row in found], "release": RELEASE})

    def do_POST(self):
        entry = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        run(f"INSERT INTO entry (token, {COLUMN}, release) VALUES ({MARK}, {MARK}, {MARK})", entry["token"], entry["value"], RELEASE)
        self.answer(201, {"release": RELEASE})

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def create():
    number = "BIGSERIAL" if POSTGRES else "INTEGER"
    run(f"CREATE TABLE entry (id {number} PRIMARY KEY, token TEXT NOT NULL, amount BIGINT NOT NULL, release TEXT NOT NULL)")
    run("CREATE INDEX entry_token ON entry (token)")
    run("CREATE VIEW ledger AS SELECT id, token, amount AS value FROM entry")  # a rename of amount goes through it


def wait_for_the_test():
    """Says how many rows there are, and goes on when the test says so."""
    rows = run("SELECT count(*) FROM entry").fetchone()[0]
    renamed, go = os.environ["GATE"] + "/renamed", os.environ["GATE"] + "/go"
    with open(renamed + ".new", "w") as f:
        f.write(str(rows))
    os.rename(renamed + ".new", renamed)
    while not os.path.exists(go):
        time.sleep(0.02)


def rename(how):
    if how == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run("BEGIN")
    run("ALTER TABLE entry RENAME COLUMN amount TO cents")
    print("amount is called cents", flush=True)
    while how == "hang":  # with the rename not committed, and the table locked
        time.sleep(1)
    wait_for_the_test()
    if how == "fail":
        sys.exit("the books do not balance")


def undo():
    if "cents" in columns():
        run("ALTER TABLE entry RENAME COLUMN cents TO amount")
        print("cents is called amount again", flush=True)
    else:
        print("there is nothing to undo", flush=True)


if __name__ == "__main__":
    os.umask(0)
    command, how = sys.argv[1], "".join(sys.argv[2:])
    if command == "serve":
        Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
    elif command == "create":
        create()
    elif command == "rename":
        rename(how)
    elif command == "undo":
        undo()

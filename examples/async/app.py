"""Exports that are made later: a POST is acknowledged when it is on disk, and this service does it when it can.

The same function answers both kinds of request. What an asynchronous one has more is an Idempotency-Key,
by which it is known whether an attempt before this one has done the work already.
"""
import csv
import io
import json
import os
import pathlib
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DONE = pathlib.Path(os.environ.get("SEMPER_SCRATCH", "/tmp"))  # of this instance; a real app has a table, and one transaction


def export(year, key):
    """The rows of a year. An attempt that comes again gets what the first has made."""
    made = DONE / f"{key.encode().hex()[:64]}.csv"
    if not made.exists():
        out = io.StringIO()
        rows = csv.writer(out)
        rows.writerow(["month", "orders"])
        rows.writerows([f"{year}-{month:02}", month * 7] for month in range(1, 13))
        part = made.with_suffix(f".{threading.get_ident()}")
        part.write_text(out.getvalue())
        part.rename(made)
    return made.read_text()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, "text/plain", "exports: POST {\"year\": 2026} to /async/exports\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            year = int(json.loads(body)["year"])
        except (ValueError, KeyError, TypeError):
            self.answer(400, "text/plain", "the body is no {\"year\": 2026}\n")  # 4xx is an answer: it is not tried again
            return
        self.answer(201, "text/csv", export(year, self.headers.get("Idempotency-Key", "")))

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # the end waits for requests in hand
    request_queue_size = 512


Handler.timeout = 5  # an idle connection does not keep the end waiting
server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()

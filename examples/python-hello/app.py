"""A web service that runs under semper with nothing but Python's standard library.

It listens where PORT says, answers /healthz once it can work, and on SIGTERM stops accepting,
finishes the requests it has and exits 0.
"""
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = pathlib.Path(__file__).with_name("version.txt").read_text().strip()
RELEASE = os.environ.get("SEMPER_RELEASE", "none")
INSTANCE = os.environ.get("SEMPER_INSTANCE", "none")

stopping = threading.Event()


class Busy:
    """Counts the requests in hand, so that the end can wait for them."""

    def __init__(self):
        self.count, self.changed = 0, threading.Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait_idle(self):
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0)


busy = Busy()


class Server(ThreadingHTTPServer):
    daemon_threads = True  # idle keep-alive connections must not keep the process alive
    request_queue_size = 512  # the default of 5 refuses bursts

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is no fault
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    wbufsize = 64 * 1024  # head and body leave in one segment
    disable_nagle_algorithm = True

    def do_GET(self):
        with busy:
            url = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(url.query)
            if url.path == "/healthz":
                self.answer("ok\n")
            elif url.path == "/slow":
                milliseconds = min(int(query.get("ms", ["2000"])[0]), 60_000)
                time.sleep(milliseconds / 1000)
                self.answer(f"slept {milliseconds} ms in {RELEASE}\n")
            elif url.path == "/sse":
                self.events()
            else:
                self.answer(
                    f"hello from python, version {VERSION}\n"
                    f"release {RELEASE}, instance {INSTANCE}, pid {os.getpid()}\n"
                )

    def do_POST(self):
        with busy:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(f"{RELEASE} read {len(body)} bytes\n")

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def events(self):
        """One server-sent event a second, until the client leaves or this instance is retired."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        number = 0
        try:
            while not stopping.is_set():
                number += 1
                self.wfile.write(f"id: {number}\ndata: {RELEASE} {number}\n\n".encode())
                self.wfile.flush()
                stopping.wait(1)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client left

    def log_message(self, *_):
        pass


def main():
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)

    def stop(*_):
        stopping.set()
        # shutdown() waits for serve_forever, which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"python-hello {VERSION} listens on {server.server_address}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    busy.wait_idle()
    print("python-hello has finished", flush=True)


if __name__ == "__main__":
    main()

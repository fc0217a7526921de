"""An app given by a Procfile only: a web process and a worker, in one script."""
import argparse
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "one"

stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self):
        body = f"hello from a Procfile, version {VERSION}, release {os.environ.get('SEMPER_RELEASE')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is no fault
            super().handle_error(request, client_address)


def web(port):
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=lambda: (stopping.wait(), server.shutdown())).start()
    server.serve_forever(poll_interval=0.05)


def worker():
    print("worker runs", flush=True)
    beats = 0
    while not stopping.wait(30):
        beats += 1
        print(f"worker beat {beats}", flush=True)
    print("worker has finished", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=8000)
    options.add_argument("--worker", action="store_true")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    worker() if chosen.worker else web(chosen.port)


if __name__ == "__main__":
    main()

"""A shop whose checkout is tried in two variants. It does what the edge says, and tells semper what its users did.

Semper-Variant says which variant a request has: "checkout=green". Semper-Variant-Key says by which key semper knows the
user: "checkout=53f1c2a0b7e94d16". What users do is pushed with that key, in batches, and pushed again until semper has taken
it: a value has an id, so none counts twice.
"""
import json
import os
import queue
import signal
import threading
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL = os.environ.get("METRICS_URL", "")
TOKEN = os.environ.get("METRICS_TOKEN", "")
INSTANCE = os.environ.get("SEMPER_INSTANCE", "")  # by it the judge of a rollout knows which release a value is of
MOST = 1000  # values of one batch


def members(field):
    """The members of a header field like "checkout=green, colour=control"."""
    return dict(m.strip().split("=", 1) for m in field.split(",") if "=" in m)


class Metrics(threading.Thread):
    """Pushes values, in the order they came, and the same batch again until semper has it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.stopping = queue.Queue(maxsize=100_000), threading.Event()

    def tell(self, metric, value, **of):
        try:
            self.values.put_nowait({"id": str(uuid.uuid4()), "metric": metric, "value": value, "instance": INSTANCE, **of})
        except queue.Full:
            print(f"a value of {metric} is lost: semper has taken none for long", flush=True)

    def run(self):
        while not (self.stopping.wait(0.5) and self.values.empty()):
            batch = []
            while len(batch) < MOST and not self.values.empty():
                batch.append(self.values.get())
            pause = 0.5
            while batch and not self.push(batch):
                if self.stopping.wait(pause):
                    break
                pause = min(2 * pause, 30)

    def push(self, batch):
        """Reports whether the batch is done with."""
        if not URL:
            return True
        request = urllib.request.Request(
            URL + "/v1/experiments/metrics", json.dumps({"values": batch}).encode(),
            {"Content-Type": "application/json", "Authorization": "Bearer " + TOKEN},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                for wrong in json.load(answer)["errors"]:
                    print(f"a value was refused: {wrong['message']}", flush=True)
                return True
        except urllib.error.HTTPError as e:
            print(f"push: {e.code} {e.read(500).decode(errors='replace')}", flush=True)
            return e.code < 500 and e.code != 429  # it is wrong, and will be wrong again
        except OSError as e:
            print(f"push: {e}", flush=True)
            return False


metrics = Metrics()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/healthz":
            self.answer("ok\n")
            return
        variant = members(self.headers.get("Semper-Variant", "")).get("checkout", "control")
        self.tell("visit")  # of everybody, so that segments have those who buy nothing too
        colour = {"green": "green"}.get(variant, "grey")
        self.answer(f'<form method="post" action="/ab-test/buy"><button style="background: {colour}">Buy</button></form>\n')

    def do_POST(self):
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        except ValueError:  # of the form on the page, which has no fields
            body = {}
        if self.path == "/ab-test/refund":
            self.tell("refund")
        else:
            self.tell("order")
            self.tell("revenue", body.get("total", 0))
        self.answer("thank you\n")

    def tell(self, metric, value=1):
        """What the user of this request did: for the experiment if the user takes part, and for the judge of a rollout."""
        key = members(self.headers.get("Semper-Variant-Key", "")).get("checkout")
        if key:
            device = "mobile" if "Mobile" in self.headers.get("User-Agent", "") else "desktop"
            metrics.tell(metric, value, experiment="checkout", key=key, segments={"device": device})
        elif "Semper-Shadow" not in self.headers:  # a copy of a request is no user's
            metrics.tell(metric, value)

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)

    def stop(*_):
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    metrics.start()
    print(f"ab-test listens on {server.server_address}, and pushes to {URL or 'nobody'}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    metrics.stopping.set()
    metrics.join(timeout=8)


if __name__ == "__main__":
    main()

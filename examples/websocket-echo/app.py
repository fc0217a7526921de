"""A WebSocket echo server (RFC 6455) and a page to try it, standard library only."""
import base64
import hashlib
import os
import pathlib
import signal
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).parent
VERSION = (HERE / "version.txt").read_text().strip()
PAGE = (HERE / "page.html").read_bytes()
RELEASE = os.environ.get("SEMPER_RELEASE", "none")
PREFIX = "/websocket-echo"  # semper passes paths on as they came

KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
GOING_AWAY, PROTOCOL_ERROR, TOO_BIG = 1001, 1002, 1009
MAX_MESSAGE = 1 << 20


class Violation(Exception):
    """The client broke the protocol; code is what the close frame says."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class WebSocket:
    """One connection. receive runs in one thread; send may be called from any."""

    def __init__(self, rfile, wfile):
        self.rfile, self.wfile = rfile, wfile
        self.sending = threading.Lock()
        self.closing = False

    def send(self, opcode, payload=b""):
        size = len(payload)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([size])
        elif size < 1 << 16:
            head += struct.pack("!BH", 126, size)
        else:
            head += struct.pack("!BQ", 127, size)
        with self.sending:
            if self.closing:
                return  # nothing follows a close frame
            self.closing = opcode == CLOSE
            self.wfile.write(head + payload)
            self.wfile.flush()

    def close(self, code):
        self.send(CLOSE, struct.pack("!H", code))

    def frame(self):
        first, second = self.exactly(2)
        opcode, final = first & 0x0F, bool(first & 0x80)
        size = second & 0x7F
        if first & 0x70 or not second & 0x80:
            raise Violation(PROTOCOL_ERROR)  # reserved bits, or not masked
        if opcode >= CLOSE and (size > 125 or not final):
            raise Violation(PROTOCOL_ERROR)
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        if size > MAX_MESSAGE:
            raise Violation(TOO_BIG)
        mask = self.exactly(4)
        data = self.exactly(size)
        key = (mask * (size // 4 + 1))[:size]
        plain = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
        return final, opcode, plain.to_bytes(size, "big")

    def exactly(self, count):
        data = self.rfile.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def messages(self):
        """Yields (opcode, payload) of whole messages until either side closes."""
        kind, parts = None, b""
        while True:
            final, opcode, payload = self.frame()
            if opcode == CLOSE:
                self.send(CLOSE, payload[:2])
                return
            if opcode == PING:
                self.send(PONG, payload)
                continue
            if opcode == PONG:
                continue
            if (opcode == CONTINUATION) != (kind is not None):
                raise Violation(PROTOCOL_ERROR)
            kind, parts = kind or opcode, parts + payload
            if len(parts) > MAX_MESSAGE:
                raise Violation(TOO_BIG)
            if final:
                yield kind, parts
                kind, parts = None, b""


open_sockets = set()
changed = threading.Condition()
stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix(PREFIX)
        if path == "/healthz":
            self.answer(b"ok\n", "text/plain")
        elif path == "/socket":
            self.upgrade()
        else:
            self.answer(PAGE, "text/html; charset=utf-8")

    def answer(self, body, kind, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def upgrade(self):
        key = self.headers.get("Sec-WebSocket-Key", "")
        if "websocket" not in self.headers.get("Upgrade", "").lower() or not key:
            self.answer(b"this path speaks WebSocket\n", "text/plain", 426)
            return
        accept = base64.b64encode(hashlib.sha1((key + KEY_SUFFIX).encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        self.echo(WebSocket(self.rfile, self.wfile))

    def echo(self, socket):
        with changed:
            open_sockets.add(socket)
        try:
            if stopping.is_set():
                socket.close(GOING_AWAY)
            socket.send(TEXT, f"welcome to version {VERSION}, release {RELEASE}".encode())
            for opcode, payload in socket.messages():
                if opcode == TEXT:
                    payload = f"{RELEASE}: ".encode() + payload
                socket.send(opcode, payload)
        except Violation as violation:
            socket.close(violation.code)
        except (EOFError, OSError):
            pass  # the client left without a close frame
        finally:
            with changed:
                open_sockets.discard(socket)
                changed.notify_all()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is no fault
            super().handle_error(request, client_address)


def leave():
    """Tells every client to come back elsewhere and waits until they have gone."""
    with changed:
        sockets = list(open_sockets)
    for socket in sockets:
        try:
            socket.close(GOING_AWAY)
        except OSError:
            pass
    with changed:
        changed.wait_for(lambda: not open_sockets, timeout=5)


def main():
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=lambda: (stopping.wait(), server.shutdown())).start()
    print(f"websocket-echo {VERSION} listens on {server.server_address}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    leave()


if __name__ == "__main__":
    main()

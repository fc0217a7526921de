"""A worker that asks for its jobs: standard library only."""
import http.client
import json
import os
import signal
import socket
import time

stop = False


def told(*_):
    global stop
    stop = True


class Queue(http.client.HTTPConnection):
    """A connection to the unix socket that semper names."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["SEMPER_QUEUE"])


def post(path, body=b""):
    connection = Queue("semper", timeout=60)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def do(job):
    print("mail:", job.get("body", ""), flush=True)
    return f"{os.environ['SEMPER_RELEASE']} sent attempt {job['attempt']}\n"


signal.signal(signal.SIGTERM, told)
while not stop:
    try:
        status, answer = post("/v1/jobs/claim?wait=5")
    except OSError:
        status = 503
    if status == 204:
        continue
    if status != 200:
        time.sleep(1)
        continue
    for job in json.loads(answer)["jobs"]:
        end = f"/v1/jobs/{job['id']}/%s?lease={job['lease']}"
        try:
            post(end % "complete", do(job).encode())
        except Exception as why:  # the next attempt is later
            post(end % "fail", json.dumps({"reason": str(why)}).encode())

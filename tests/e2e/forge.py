"""What the end-to-end tests share: real programs on a temporary directory, requests, and the count at the end."""

import http.client
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MIC_BUILD", "build/release"))
SANITIZED = os.path.basename(BUILD) in ("asan", "tsan")  # which have memory of their own
LONG = os.environ.get("MIC_LONG", "") not in ("", "0")


def program(name):
    return os.path.join(BUILD, "bin", name)


def free_port():
    """A port below those that the kernel gives to outgoing connections: while a server that is started again at the same
    port is down, nobody gets that by chance."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


class Server:
    """A program that says `listening on http://HOST:PORT` once it does."""

    def __init__(self, name, directory, *args, port=0):
        self.directory = directory
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program(name), directory, "--listen", f"127.0.0.1:{port}", *args],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if not match:
            self.process.wait()
            raise RuntimeError(f"{name} did not start: {line}{self.log_text()}")
        self.port = int(match.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        self.process.wait(timeout=60)
        self.process.stdout.close()
        return self.process.returncode

    def kill(self):
        self.stop(signal.SIGKILL)

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def rss_peak_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        # A sanitizer speaks at the end, too. What went wrong before it goes first.
        if kind is None:
            text = self.log_text()
            assert code in (0, -signal.SIGKILL) and "Sanitizer" not in text and "runtime error:" not in text, (code, text[-6000:])


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


def request(port, method, path, body=None, headers=None, author="ann", timeout=60, connection=None):
    """One request under /api/mic; a dict is sent as JSON."""
    own = connection is None
    if own:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    send = {"Mic-Author": author} if author else {}
    send.update(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    connection.request(method, "/api/mic" + path, body=body, headers=send)
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    if own:
        connection.close()
    return answer


def write(path, text, **more):
    return {"op": "write", "path": path, "content": {"text": text}, **more}


def land(port, project, operations, goal="a change", author="ann", wait="30s", **session):
    body = {"session": {"goal": goal, "operations": operations, **session}}
    return request(port, "POST", f"/projects/{project}/land?wait={wait}", body, author=author)


def s3_client():
    """Somebody else's client of the S3 server that the test runner has started."""
    import boto3
    return boto3.client("s3", endpoint_url=os.environ["MIC_S3_ENDPOINT"], region_name=os.environ["MIC_S3_REGION"],
                        aws_access_key_id=os.environ["MIC_S3_ACCESS_KEY_ID"],
                        aws_secret_access_key=os.environ["MIC_S3_SECRET_ACCESS_KEY"])


def s3_place():
    """A new place in the bucket of the run, as programs take it in place of a directory."""
    return f"s3://{os.environ['MIC_S3_BUCKET']}/{secrets.token_hex(8)}"


def objects(place):
    """The names of all objects in a directory, or in a place of a bucket."""
    if not place.startswith("s3://"):
        # What begins with a dot is no object.
        return sorted(os.path.relpath(os.path.join(where, name), place)
                      for where, _, names in os.walk(place) for name in names
                      if not os.path.relpath(where, place).startswith(".micelio"))
    bucket, prefix = place[5:].split("/", 1)
    pages = s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/")
    return sorted(item["Key"][len(prefix) + 1:] for page in pages for item in page.get("Contents", ()))


def main(tests, place=lambda directory: directory):
    """Runs the functions, each with a temporary directory or what `place` makes of it, and prints the count."""
    passed = failed = skipped = 0
    for test in tests:
        with tempfile.TemporaryDirectory(prefix="micelio-") as directory:
            start = time.monotonic()
            try:
                why = test(place(directory))
            except Exception:
                traceback.print_exc(file=sys.stdout)
                print(f"not ok - {test.__name__}", flush=True)
                failed += 1
                continue
            if why:
                print(f"skipped - {test.__name__}: {why}", flush=True)
                skipped += 1
            else:
                print(f"ok - {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)

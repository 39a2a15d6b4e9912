#!/usr/bin/env python3
"""Front and lander over an S3 server that is away, busy or slow: they live, say so, hold what they may, and go on when it is
well again."""

import base64
import http.client
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

import forge
from forge import Server, write
from openapi import request
from s3_server import Server as S3Server, TlsProxy
from test_programs import log_of

PLACE = "s3://bucket/forge"


def use(port):
    os.environ.update(MIC_S3_ENDPOINT=f"http://127.0.0.1:{port}", MIC_S3_REGION="here", MIC_S3_ACCESS_KEY_ID="key",
                      MIC_S3_SECRET_ACCESS_KEY="secret")


class Program:
    """One without a front."""

    def __init__(self, name, *args):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([forge.program(name), PLACE, *args], stderr=self.log)

    def text(self):
        self.log.seek(0)
        return self.log.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code = self.stop() if self.process.poll() is None else self.process.returncode
        assert kind or (code == 0 and "Sanitizer" not in self.text()), (code, self.text())


def once(name):
    return subprocess.run([forge.program(name), PLACE, "--once"], capture_output=True, text=True, timeout=120)


def ready(port):
    return request(port, "GET", "/ready").status == 200


def refused(answer):
    """Whether it was turned away, as one that is turned away must be."""
    if answer.status != 503:
        return False
    assert 1 <= int(answer.headers["Retry-After"]) <= 30, answer.headers
    return True


def land(port, name, wait="30s"):
    body = {"session": {"goal": name, "key": name, "base": 0, "operations": [write(name, name, seen=None)]}}
    return request(port, "POST", f"/projects/demo/land?wait={wait}", body)


def check_degraded(port):
    health = request(port, "GET", "/health")
    assert health.status == 200 and health.json["status"] == "degraded" and not health.json["accepting"], health.body
    answer = request(port, "GET", "/ready")
    assert refused(answer) and answer.code == "store_away", answer.body
    for method, path, body in (("GET", "/projects", None), ("POST", "/projects", {"handle": "demo"}),
                               ("GET", "/projects/demo/head", None), ("POST", "/projects/demo/blobs", "x" * 100000)):
        answer = request(port, method, path, body)
        assert refused(answer) and answer.code == "store_away", answer.body
    assert request(port, "GET", "/nothing").status == 404
    assert b"\nmic_store_ok 0\n" in request(port, "GET", "/metrics").body


def test_a_store_that_is_away_is_waited_for(_directory):
    port = forge.free_port()
    use(port)
    for name in ("mic-land", "mic-append"):
        done = once(name)
        assert done.returncode == 1 and "does not answer" in done.stderr and len(done.stderr.splitlines()) < 6, done.stderr
    with Server("mic-api", PLACE) as api, Program("mic-land") as lander, Program("mic-append") as logger:
        check_degraded(api.port)
        health = request(api.port, "GET", "/health").json
        assert "bucket" not in health and "agent" not in health, health
        with S3Server(port=port) as first:
            forge.wait_until(lambda: ready(api.port))
            health = request(api.port, "GET", "/health").json
            assert health["status"] == "ok" and "bucket" in health, health
            assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
            assert land(api.port, "one").status == 200
        # It goes away again, while nobody asks for anything but how it is.
        forge.wait_until(lambda: not ready(api.port))
        check_degraded(api.port)
        with S3Server(port=port, objects=first.objects) as second:
            forge.wait_until(lambda: ready(api.port))
            assert land(api.port, "two").status == 200
            assert [e["goal"] for e in log_of(api.port)] == ["one", "two"]
            # When all is well nobody is asked for the sake of it.
            second.requests.clear()
            time.sleep(1)
            asked = sum(second.requests.values())
            assert asked < 20, second.requests
        for log in (api.log_text(), lander.text(), logger.text()):
            assert log.count("store_away") <= 2 and len(log.splitlines()) < 25, log
        assert [api.process.poll(), lander.process.poll(), logger.process.poll()] == [None] * 3
        assert api.log_text().count("store_away") == api.log_text().count("store_back") == 2, api.log_text()
        assert lander.text().count("stage_failed") == lander.text().count("stage_well") == 1, lander.text()


def test_a_front_that_waits_ends_when_it_is_told(_directory):
    port = forge.free_port()
    use(port)
    for name in ("mic-api", "mic-forge"):
        server = Server(name, PLACE)
        assert server.stop() == 0, server.log_text()
    with Program("mic-land") as lander:
        forge.wait_until(lambda: "store_away" in lander.text())
    # What turns out to be no store to use is the end.
    with Server("mic-forge", PLACE) as server:
        with S3Server("no conditions", port=port):
            assert server.process.wait(60) == 1
        assert "cannot be used: it ignores If-None-Match" in server.log_text(), server.log_text()
        server.process.returncode = 0


def test_a_server_that_is_not_trusted_is_not_waited_for(directory):
    with S3Server() as store, TlsProxy(directory, store.url) as proxy:
        use(0)
        os.environ["MIC_S3_ENDPOINT"] = proxy.url
        for name in ("mic-forge", "mic-api", "mic-land", "mic-append", "mic-rollup"):
            done = subprocess.run([forge.program(name), PLACE], capture_output=True, text=True, timeout=60)
            assert done.returncode == 1 and "cannot be tried" in done.stderr, (name, done.stderr)
            assert "denied" in done.stderr and "certificate" in done.stderr, (name, done.stderr)
            assert "store_away" not in done.stderr and len(done.stderr.splitlines()) < 6, (name, done.stderr)
        assert proxy.connections == 0 and not store.objects, store.objects
        os.environ["MIC_S3_CA_FILE"] = proxy.certificate
        with Server("mic-api", PLACE) as api:
            forge.wait_until(lambda: ready(api.port))
        del os.environ["MIC_S3_CA_FILE"]


class Client(threading.Thread):
    """Lands one after another, each until it is taken; `size` bytes in some files."""

    def __init__(self, name, port, size, wait):
        super().__init__(daemon=True)
        self.name, self.port, self.wait = name, port, wait
        chance = random.Random(name)
        self.files = [base64.b64encode(chance.randbytes(min(size - at, 45000))).decode() for at in range(0, size, 45000)]
        self.stopping = threading.Event()
        self.done, self.refusals, self.pauses, self.wrong = [], [], [], None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.land_one(f"{self.name}-{len(self.done)}")
        except Exception as error:  # pylint: disable=broad-except
            self.wrong = error

    def land_one(self, goal):
        operations = [write(f"{goal}/{i}", text, seen=None) for i, text in enumerate(self.files)]
        body = {"session": {"goal": goal, "key": goal, "base": 0, "operations": operations}}
        while not self.stopping.is_set():
            try:
                answer = request(self.port, "POST", f"/projects/demo/land?wait={self.wait}", body, timeout=120)
            except (OSError, http.client.HTTPException) as error:
                self.wrong = error
                return
            if answer.status in (200, 202):
                self.done.append(goal)
                return
            assert refused(answer), answer.body
            self.refusals.append(answer.code)
            self.pauses.append(int(answer.headers["Retry-After"]))
            # An impatient one: it comes before it is told to.
            self.stopping.wait(0.2)


def stop(clients):
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
        assert client.wrong is None, client.wrong


def check_all_landed(port, clients):
    accepted = sorted(goal for client in clients for goal in client.done)
    forge.wait_until(lambda: request(port, "GET", "/projects/demo/head").json["position"] >= len(accepted))
    forge.wait_until(lambda: set(accepted) <= {e["goal"] for e in log_of(port)})
    goals = [e["goal"] for e in log_of(port)]
    assert len(goals) == len(set(goals)), "something landed twice"
    return len(accepted)


def test_a_busy_store(_directory):
    with S3Server() as store:
        use(store.server_address[1])
        with Server("mic-api", PLACE, "--s3-tries", "2") as api, Program("mic-land") as lander:
            assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
            clients = [Client(f"c{i}", api.port, 1000, "3s") for i in range(24)]
            forge.wait_until(lambda: sum(len(c.done) for c in clients) > 48)
            store.busy = True
            forge.wait_until(lambda: request(api.port, "GET", "/health").json["status"] == "degraded")
            check_degraded(api.port)
            with store.lock:
                store.requests.clear()
            before = [len(c.refusals) for c in clients]
            forge.wait_until(lambda: all(len(c.refusals) > n + 10 for c, n in zip(clients, before)))
            # Who is turned away costs the store nothing.
            turned_away = sum(len(c.refusals) for c in clients) - sum(before)
            assert sum(store.requests.values()) < turned_away / 4, (store.requests, turned_away)
            store.busy = False
            accepted = sum(len(c.done) for c in clients)
            forge.wait_until(lambda: sum(len(c.done) for c in clients) > accepted + 48)
            assert ready(api.port)
            stop(clients)
            assert [api.process.poll(), lander.process.poll()] == [None, None]
            accepted = check_all_landed(api.port, clients)
            print(f"{accepted} landings, {turned_away} turned away", flush=True)


def test_a_slow_store(_directory):
    with S3Server() as store:
        use(store.server_address[1])
        args = ("--intake-queue-max", "32MiB", "--intake-batch-max", "4MiB")
        with Server("mic-api", PLACE, *args) as api, Program("mic-land"):
            assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
            assert land(api.port, "first").status == 200
            at_rest = api.rss_peak_kib()
            store.delay = 2
            with store.lock:
                store.requests.clear()
            clients = [Client(f"c{i}", api.port, 450000, "0") for i in range(100)]
            forge.wait_until(lambda: any("queue_full" in c.refusals for c in clients))
            # Once a put has told how slow it is.
            forge.wait_until(lambda: any(max(c.pauses, default=0) >= 3 for c in clients))
            forge.wait_until(lambda: sum(len(c.done) for c in clients) > 100)
            health = request(api.port, "GET", "/health").json
            assert health["status"] == "ok", health
            stop(clients)
            puts = sum(n for (method, key), n in store.requests.items() if method == "PUT" and "queue/" in key)
            peak = api.rss_peak_kib()
            store.delay = 0
            accepted = check_all_landed(api.port, clients)
            print(f"{accepted} landings in {puts} puts; {peak // 1024} MiB, {at_rest // 1024} at rest", flush=True)
            # 32 MiB wait, as much again is on its way in, and each has room to grow.
            assert forge.SANITIZED or peak - at_rest < 256 * 1024, (peak, at_rest)
            assert puts * 4 < accepted, (puts, accepted)


if __name__ == "__main__":
    forge.main([test_a_store_that_is_away_is_waited_for, test_a_front_that_waits_ends_when_it_is_told,
                test_a_server_that_is_not_trusted_is_not_waited_for, test_a_busy_store, test_a_slow_store])

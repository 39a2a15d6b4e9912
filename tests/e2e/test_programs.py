#!/usr/bin/env python3
"""The programs as a user starts them: one forge, or front, lander and log writer apart; and what a kill -9 leaves."""

import http.client
import os
import random
import subprocess
import threading
import time

import forge
from forge import Server, wait_until, write
from openapi import land, request


def once(name, directory):
    done = subprocess.run([forge.program(name), directory, "--once"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_three_programs_on_one_directory(directory):
    with Server("mic-api", directory) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        session = {"goal": "one", "key": "k1", "base": 0, "operations": [write("a", "1")]}
        answer = request(api.port, "POST", "/projects/demo/land", {"session": session})
        assert answer.status == 202 and answer.json["state"] == "pending", answer.body
        sid = answer.json["sessions"][0]
        # Accepted, not landed: its writer reads it through the front all the same.
        assert request(api.port, "GET", f"/projects/demo/sessions/{sid}").json["state"] == "open"
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 0
        once("mic-land", directory)
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 1
        read = request(api.port, "GET", f"/projects/demo/sessions/{sid}").json
        assert read["state"] == "landed" and read["position"] == 1, read
        assert request(api.port, "GET", "/projects/demo/files/a").body == b"1"
        # The same request again has the same answer, though nothing lands any more.
        again = request(api.port, "POST", "/projects/demo/land?wait=10s", {"session": session})
        assert again.status in (200, 202), again.body
        series = [{"goal": f"n{i}", "operations": [write(f"n/{i}", str(i))]} for i in range(120)]
        assert request(api.port, "POST", "/projects/demo/land", {"sessions": series}).status == 202
        once("mic-land", directory)
        once("mic-append", directory)
        segments = [name for name in forge.objects(directory) if "/landing-log/" in name]
        assert [os.path.basename(s) for s in segments] == ["000000000001-000000000101.log"], segments
        once("mic-rollup", directory)
        filters = [name for name in forge.objects(directory) if "/bloom-index/" in name]
        assert [name[name.index("bloom-index/") + 12:] for name in filters] == ["level-1/000000000001-000000000101.bloom"], filters
        entries = request(api.port, "GET", "/projects/demo/log?limit=1000").json["entries"]
        positions = [e["position"] for e in entries]
        assert positions == list(range(121, 0, -1)), positions
        # Overlapping runs do no harm.
        for _ in range(2):
            runs = [subprocess.Popen([forge.program(n), directory, "--once"]) for n in ("mic-land", "mic-append", "mic-rollup") * 2]
            assert all(run.wait(60) == 0 for run in runs)
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 121


def test_conflict_across_processes(directory):
    with Server("mic-api", directory) as one, Server("mic-api", directory) as two:
        request(one.port, "POST", "/projects", {"handle": "demo"})
        answers = [land(p.port, "demo", [write("same", str(p.port))], wait="0") for p in (one, two)]
        assert [a.status for a in answers] == [202, 202]
        runs = [subprocess.Popen([forge.program("mic-land"), directory, "--once"]) for _ in range(3)]
        assert all(run.wait(60) == 0 for run in runs)
        states = sorted(request(two.port, "GET", f"/projects/demo/sessions/{a.json['sessions'][0]}").json["state"]
                        for a in answers)
        assert states == ["conflicted", "landed"], states


class Client(threading.Thread):
    """Lands as fast as it is answered, and again with the same key where it got no answer: each time through any of the
    fronts."""

    def __init__(self, name, ports):
        super().__init__()
        self.name, self.ports = name, ports
        self.stopping = threading.Event()
        self.landed = {}  # path -> text, all that was answered
        self.keys = []
        self.wrong = None

    def run(self):
        try:
            self.land_on()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong = error

    def land_on(self):
        n = 0
        while not self.stopping.is_set():
            n += 1
            path, key = f"{self.name}/{n % 20}/{n}", f"{self.name}-{n}"
            base = None
            while not self.stopping.is_set():
                try:
                    if base is None:
                        base = request(random.choice(self.ports), "GET", "/projects/demo/head", timeout=10).json["position"]
                    session = {"goal": key, "key": key, "base": base, "operations": [write(path, key, seen=None)]}
                    answer = request(random.choice(self.ports), "POST", "/projects/demo/land?wait=10s",
                                     {"session": session}, author=self.name, timeout=15)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    self.landed[path] = key
                    self.keys.append(key)
                    break
                assert answer.status in (202, 503), answer.body


def chance_by_seed():
    seed = int(os.environ.get("MIC_SEED", time.time()))
    print(f"seed {seed}", flush=True)
    return random.Random(seed)


def log_of(port):
    """All of it, the oldest first."""
    entries, place = [], ""
    while True:
        page = request(port, "GET", f"/projects/demo/log?all=1&limit=1000{place}").json
        entries += page["entries"]
        if "next" not in page:
            return entries[::-1]
        place = f"&before={page['next']}&skip={page.get('next_skip', 0)}"


def check_answered(port, clients):
    """What was answered is there, once, in the order in which it was asked for, and nothing that nobody asked for. Gives
    the log."""
    entries = log_of(port)
    landed = [e for e in entries if e["verdict"] == "landed"]
    assert [e["position"] for e in landed] == list(range(1, len(landed) + 1)), "positions are missing"
    goals = [e["goal"] for e in landed]
    assert len(goals) == len(set(goals)), "something landed twice"
    for client in clients:
        assert client.wrong is None, client.wrong
        missing = set(client.keys) - set(goals)
        assert not missing, f"answered, and not in the log: {sorted(missing)[:5]}"
        own = [int(goal.split("-")[1]) for goal in goals if goal.split("-")[0] == client.name]
        assert own == sorted(own), f"{client.name} asked in another order than {own}"
        # What has no answer is the last that it asked for.
        assert len(own) - len(client.keys) <= 1, (client.name, len(own), len(client.keys))
    answered = [item for client in clients for item in client.landed.items()]
    for path, text in random.sample(answered, min(50, len(answered))):
        assert request(port, "GET", f"/projects/demo/files/{path}").body.decode() == text
    return entries


def test_kill_at_random_moments(directory):
    """Nothing that was answered is missing, nothing landed twice; and what is started again lands again."""
    kills = 60 if forge.LONG else 20
    chance = chance_by_seed()
    port = forge.free_port()
    server = Server("mic-forge", directory, port=port)
    request(port, "POST", "/projects", {"handle": "demo"})
    clients = [Client(f"c{i}", [port]) for i in range(8)]
    for client in clients:
        client.start()

    def answered():
        return sum(len(client.keys) for client in clients)

    try:
        for n in range(kills):
            # One forge is killed wherever it happens to be, as often as not before its first landing; the next one
            # has landed something first.
            before = answered()
            if n % 2:
                wait_until(lambda: answered() > before)  # pylint: disable=cell-var-from-loop
            time.sleep(chance.uniform(0.05, 0.6))
            server.kill()
            server = Server("mic-forge", directory, port=port)
        before = answered()
        wait_until(lambda: answered() > before)
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    with server:
        check_answered(port, clients)
    print(f"{answered()} landings over {kills} kills", flush=True)


def test_a_forge_that_is_stopped_ends_well(directory):
    server = Server("mic-forge", directory)
    request(server.port, "POST", "/projects", {"handle": "demo"})
    assert land(server.port, "demo", [write("a", "1")]).status == 200
    assert server.stop() == 0
    with Server("mic-forge", directory) as again:
        assert request(again.port, "GET", "/projects/demo/files/a").body == b"1"


def test_a_forge_waits_for_none_that_was_killed(directory):
    server = Server("mic-forge", directory, "--lease-ms", "10m")
    request(server.port, "POST", "/projects", {"handle": "demo"})
    assert land(server.port, "demo", [write("a", "1")]).status == 200
    server.kill()
    with Server("mic-forge", directory) as again:
        assert land(again.port, "demo", [write("b", "1")]).status == 200


TESTS = [test_three_programs_on_one_directory, test_conflict_across_processes,
         test_a_forge_that_is_stopped_ends_well, test_a_forge_waits_for_none_that_was_killed, test_kill_at_random_moments]

if __name__ == "__main__":
    forge.main(TESTS)

#!/usr/bin/env python3
"""Several fronts and landers on one bucket, none of them special: whatever is killed or stopped, what was answered is
there, once and in order; and while all is well they do not do each other's work."""

import http.client
import random
import signal
import subprocess
import tempfile
import threading
import time

import forge
from forge import Server, land, request, wait_until, write
from test_programs import Client, chance_by_seed, check_answered, log_of

LEASE_MS = 1000  # where something is killed


class Lander:
    """A mic-land that goes on for ever, or with `--once` to its end."""

    def __init__(self, place, *args, lease_ms=LEASE_MS):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([forge.program("mic-land"), place, "--lease-ms", f"{lease_ms}ms", *args],
                                        stderr=self.log)

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(timeout=60)

    def kill(self):
        self.stop(signal.SIGKILL)

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")


class Forge:
    """Three fronts, three landers, and clients that ask any front. What is killed is started again."""

    def __init__(self, place, lease_ms=LEASE_MS, landers=3):
        self.place, self.lease_ms = place, lease_ms
        self.ports = [forge.free_port() for _ in range(3)]
        self.fronts = [Server("mic-api", place, port=port) for port in self.ports]
        self.landers = [Lander(place, lease_ms=lease_ms) for _ in range(landers)]
        self.clients = []
        assert request(self.ports[0], "POST", "/projects", {"handle": "demo"}).status == 201

    def begin(self, clients):
        self.clients = [Client(f"c{i}", self.ports) for i in range(clients)]
        for client in self.clients:
            client.start()

    def answered(self):
        return sum(len(client.keys) for client in self.clients)

    def end(self):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join()

    def kill_one(self, chance):
        which = chance.randrange(6)
        if which < 3:
            self.fronts[which].kill()
            self.fronts[which] = Server("mic-api", self.place, port=self.ports[which])
        else:
            self.landers[which - 3].kill()
            self.landers[which - 3] = Lander(self.place, lease_ms=self.lease_ms)

    def check(self):
        return check_answered(random.choice(self.ports), self.clients)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        for process in self.landers + self.fronts:
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)
                process.stop()


def trees_in_vain(place, entries):
    """Tree objects that no batch has: a drain put them and found that another was first. And how many there are."""
    trees = [name for name in forge.objects(place) if "/trees/" in name]
    batches = {entry["tree"] for entry in entries}
    # The one that the project began with has no answers.
    return len(trees) - 1 - len(batches), len(batches)


def test_any_one_is_killed(place):
    kills = 60 if forge.LONG else 20
    chance = chance_by_seed()
    with Forge(place) as many:
        many.begin(8)
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 0.6))
            many.kill_one(chance)
        before = many.answered()
        wait_until(lambda: many.answered() > before)
        many.end()
        many.check()
        print(f"{many.answered()} landings over {kills} kills", flush=True)


def test_no_work_is_done_twice(place):
    with Forge(place, lease_ms=10000) as many:
        many.begin(8)
        # Each client has one in work, so these are dozens of batches at least.
        wait_until(lambda: many.answered() > (4000 if forge.LONG else 400), seconds=300)
        many.end()
        vain, batches = trees_in_vain(place, many.check())
        print(f"{many.answered()} landings in {batches} batches; {vain} trees were put in vain", flush=True)
        assert vain * 20 <= batches, (vain, batches)


class Wanderer(threading.Thread):
    """Writes through one front and reads through another, over and over."""

    def __init__(self, name, ports, times):
        super().__init__()
        self.name, self.times = name, times
        self.fronts = {port: http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in ports}
        self.wrong = None

    def ask(self, port, method, path, body=None):
        answer = request(port, method, "/projects/demo" + path, body, author=self.name, connection=self.fronts[port])
        assert answer.status in (200, 201, 202), (method, path, answer.status, answer.body)
        return answer

    def run(self):
        try:
            for n in range(self.times):
                self.round(n)
        except Exception as error:  # pylint: disable=broad-except
            self.wrong = error

    def round(self, n):
        """Each step through another front than the one before it."""
        one, other = random.sample(sorted(self.fronts), 2)
        path = f"wander/{self.name}/{n}"
        if n % 5 == 0:
            self.sid = self.ask(one, "POST", "/sessions", {"goal": f"{self.name} {n}"}).json["session"]
            assert self.ask(other, "GET", f"/sessions/{self.sid}").json["state"] == "open"
        self.ask(one, "POST", f"/sessions/{self.sid}/operations", {"operations": [write(path, str(n))]})
        read = self.ask(other, "GET", f"/sessions/{self.sid}").json
        assert path in [operation["path"] for operation in read["operations"]], (path, read)
        if n % 5 == 4:
            # Asked for, it is there, landed or not; landed, so is what it wrote.
            self.ask(one, "POST", f"/sessions/{self.sid}/land", {})
            assert self.ask(other, "GET", f"/sessions/{self.sid}").json["state"] in ("open", "landed")
            answer = self.ask(one, "POST", f"/sessions/{self.sid}/land?wait=60s", {}).json
            assert [result["verdict"] for result in answer["results"]] == ["landed"], answer
            position = answer["results"][0]["position"]
            assert self.ask(other, "GET", "/head").json["position"] >= position
            assert self.ask(other, "GET", f"/sessions/{self.sid}").json["position"] == position
            assert self.ask(other, "GET", f"/files/{path}").body == str(n).encode()


def test_written_through_one_read_through_another(place):
    times, threads = 10000 if forge.LONG else 1000, 4
    with Forge(place, lease_ms=10000) as many:
        many.begin(4)
        wanderers = [Wanderer(f"w{i}", many.ports, times // threads) for i in range(threads)]
        for wanderer in wanderers:
            wanderer.start()
        for wanderer in wanderers:
            wanderer.join()
        many.end()
        wrong = [wanderer.wrong for wanderer in wanderers if wanderer.wrong]
        assert not wrong, wrong
        landed = {e["goal"] for e in log_of(many.ports[0]) if e["verdict"] == "landed"}
        print(f"{times} writes were read elsewhere, beside {many.answered()} landings", flush=True)
        assert {f"w{i} {n}" for i in range(threads) for n in range(0, times // threads, 5)} <= landed


def test_a_lander_that_is_stopped_goes_on(place):
    """For longer than its lease, at any moment of its work."""
    chance = chance_by_seed()
    with Forge(place) as many:
        many.begin(8)
        for n in range(12 if forge.LONG else 6):
            time.sleep(chance.uniform(0.1, 0.4))
            lander = many.landers[n % 3].process
            lander.send_signal(signal.SIGSTOP)
            time.sleep(LEASE_MS / 1000)
            # Another has taken over by then, or soon will.
            before = many.answered()
            wait_until(lambda: many.answered() > before + 8)
            lander.send_signal(signal.SIGCONT)
        many.end()
        vain, batches = trees_in_vain(place, many.check())
        print(f"{many.answered()} landings in {batches} batches; {vain} trees were put in vain", flush=True)


def position(port):
    return request(port, "GET", "/projects/demo/head").json["position"]


def ask(port, key):
    answer = land(port, "demo", [write(key, key)], goal=key, wait="0")
    assert answer.status == 202, answer.body


def test_once_beside_others(place):
    """It ends when what it found is done: by whoever is at it, or by itself if that one is gone."""
    with Server("mic-api", place) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        follow = Lander(place)
        ask(api.port, "one")
        wait_until(lambda: position(api.port) == 1)
        for n in range(5):
            ask(api.port, f"beside {n}")
            assert Lander(place, "--once").process.wait(60) == 0
            assert position(api.port) == 2 + n
        follow.kill()
        ask(api.port, "alone")
        runs = [Lander(place, "--once") for _ in range(3)]
        assert [run.process.wait(60) for run in runs] == [0, 0, 0]
        assert position(api.port) == 7
        # One that waits for another's lease can be told to end.
        ask(api.port, "last")
        lease = 600000
        holder = Lander(place, lease_ms=lease)
        wait_until(lambda: position(api.port) == 8)
        holder.kill()
        ask(api.port, "never")
        waits = Lander(place, "--once")
        time.sleep(0.3)
        assert waits.process.poll() is None
        assert waits.stop() == 0
        assert position(api.port) == 8


def test_once_over_and_over(place):
    """Timers on several machines that overlap, some of whose runs are killed."""
    chance = chance_by_seed()
    with Forge(place, landers=0, lease_ms=500) as many:
        many.begin(6)
        until = time.monotonic() + (30 if forge.LONG else 8)
        runs, ended = [], 0
        while time.monotonic() < until:
            runs = [run for run in runs if run.process.poll() is None]
            while len(runs) < 3:
                runs.append(Lander(place, "--once", lease_ms=500))
                ended += 1
            time.sleep(chance.uniform(0.01, 0.1))
            if chance.random() < 0.1:
                chance.choice(runs).kill()
        for client in many.clients:
            client.stopping.set()
        for run in runs:
            assert run.process.wait(60) in (0, -signal.SIGKILL), run.log_text()
        # What is left is done by one more; and what was asked for while it ended, by another.
        for _ in range(2):
            assert Lander(place, "--once", lease_ms=500).process.wait(60) == 0
            many.end()
        many.check()
        assert not [name for name in forge.objects(place) if name.startswith("queue/")]
        print(f"{many.answered()} landings in {ended} runs", flush=True)


TESTS = [test_any_one_is_killed, test_no_work_is_done_twice, test_written_through_one_read_through_another,
         test_a_lander_that_is_stopped_goes_on, test_once_beside_others, test_once_over_and_over]

if __name__ == "__main__":
    forge.main(TESTS)

#!/usr/bin/env python3
"""What the programs ask a real S3 server for, counted by a proxy in front of it: the budgets of the design, to the request.

`mic-land --once` is a whole program: beside the work it reads what the bucket is and that it was probed (START), lists the
queue until that is empty, and takes the shard's lease and gives it back."""

import os
import subprocess
import threading
import time

import forge
from forge import Server, land, request, write
from s3_log import LoggingProxy

START = {"get probe": 1, "get bucket": 1}
# Of a drain that finds work in its one shard: a list that finds it and one that finds no more; the lease, that was held before.
DRAIN = {**START, "list queue": 2, "get lease": 1, "put lease if match": 2}
BATCH = {"get head": 1, "put tree if absent": 1, "put head if match": 1}


class Rig:
    """A front on a bucket behind the proxy, with a project that has one landing."""

    def __init__(self, place, *args):
        self.place = place
        self.proxy = LoggingProxy(os.environ["MIC_S3_ENDPOINT"], place)
        self.before = os.environ["MIC_S3_ENDPOINT"]
        os.environ["MIC_S3_ENDPOINT"] = self.proxy.url
        self.api = Server("mic-api", place, *args)
        self.port = self.api.port
        assert request(self.port, "POST", "/projects", {"handle": "demo"}).status == 201
        self.ask(0, "a/b/c/f")
        self.once("mic-land")
        self.proxy.taken()

    def ask(self, base, *paths):
        """A request that is taken in and not waited for."""
        answer = land(self.port, "demo", [write(path, path, seen=None) for path in paths], base=base, wait="0")
        assert answer.status == 202, answer.body

    def once(self, name, *args):
        done = subprocess.run([forge.program(name), self.place, "--once", *args], capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == 0, done.stderr

    def metric(self, name):
        text = request(self.port, "GET", "/metrics").body.decode()
        return next(int(line.split()[1]) for line in text.split("\n") if line.startswith(name + " "))

    def expect(self, *budgets, absent=()):
        """What was asked for since the last time is the sum of these, and all of it was done but for what was not there."""
        want = {}
        for budget in budgets:
            for what, n in budget.items():
                want[what] = want.get(what, 0) + n
        made, failed = self.proxy.taken()
        assert made == {what: n for what, n in want.items() if n > 0}, (made, want)
        assert failed == [f"{what}: 404" for what in absent], failed

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.environ["MIC_S3_ENDPOINT"] = self.before
        self.proxy.let_go()
        self.api.__exit__(*error)
        self.proxy.__exit__()


def wait_until(what):
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.005)


def test_a_batch_of_landings(place):
    with Rig(place) as rig:
        # Each was alone when it was taken in, so it has a queue object of its own. The tree at its base is read by the
        # first of them: head, root, and the three directories.
        n = 100
        for i in range(n):
            rig.ask(1, f"a/b/c/{i}")
        rig.expect({"put queue if absent": n, "get head": 1, "get tree": 4})
        # The drain's pages, none of which is in its memory: again four.
        rig.once("mic-land")
        rig.expect(DRAIN, BATCH, {"get queue": n, "get tree": 4, "delete queue": n})
        assert request(rig.port, "GET", "/projects/demo/head").json["position"] == 1 + n
        rig.expect({"get head": 1, "get tree": 1})
        # Nothing to do: one list, and no lease.
        rig.once("mic-land")
        rig.expect(START, {"list queue": 1})


def test_a_series_is_one_request(place):
    with Rig(place) as rig:
        n = 500
        series = [{"goal": f"n{i}", "base": 1, "operations": [write(f"n/{i}", str(i), seen=None)]} for i in range(n)]
        assert request(rig.port, "POST", "/projects/demo/land?wait=0", {"sessions": series}).status == 202
        rig.expect({"put queue if absent": 1, "get head": 1, "get tree": 1})
        rig.once("mic-land")
        rig.expect(DRAIN, BATCH, {"get queue": 1, "get tree": 1, "delete queue": 1})
        assert request(rig.port, "GET", "/projects/demo/head").json["position"] == 1 + n


class Waiter(threading.Thread):
    def __init__(self, rig, name):
        super().__init__()
        self.rig, self.name, self.answer = rig, name, None

    def run(self):
        self.answer = land(self.rig.port, "demo", [write(f"w/{self.name}", self.name, seen=None)], base=1)


def test_many_share_a_put_and_a_look(place):
    """While one queue object is on its way the next one fills; and who waits costs nothing by himself."""
    n = 64
    with Rig(place, "--wait-poll-ms=60s") as rig:
        assert request(rig.port, "GET", "/projects/demo/tree/").status == 200  # the front knows the tree from here on
        rig.proxy.taken()
        taken = rig.metric("mic_intake_groups_total")
        rig.proxy.hold("put queue if absent")
        waiters = [Waiter(rig, f"{i}") for i in range(n)]
        waiters[0].start()
        wait_until(lambda: rig.proxy.count("put queue if absent") == 1)
        for waiter in waiters[1:]:
            waiter.start()
        wait_until(lambda: rig.metric("mic_intake_groups_total") == taken + n)
        rig.proxy.let_go()
        # Looks for answers come ever more seldom, from 2 ms up to the 60 s that were set: of all of this test, 16.
        wait_until(lambda: rig.proxy.count("get head") > 3)
        rig.once("mic-land")
        for waiter in waiters:
            waiter.join()
            assert waiter.answer.status == 200, waiter.answer.body
        made, failed = rig.proxy.taken()
        looks = made.pop("get head") - 1
        assert 3 < looks <= 16, looks
        print(f"{n} requests that were waited for: 2 queue objects, {looks} looks at the head", flush=True)
        # The tree objects: the drain's root, which its changes need, and in the front the batch that has the answers.
        want = {**DRAIN, **BATCH, "put queue if absent": 2, "get queue": 2, "delete queue": 2, "get tree": 2}
        want.pop("get head")
        assert made == want and not failed, (made, want, failed)


def test_an_open_session(place):
    """Its writes go into an object of its own when they are old; then its landing costs one get and one put more."""
    with Rig(place) as rig:
        sid = request(rig.port, "POST", "/projects/demo/sessions", {"goal": "long", "base": 1}).json["session"]
        for i in range(10):
            answer = request(rig.port, "POST", f"/projects/demo/sessions/{sid}/operations",
                             {"operations": [write(f"s/{i}", "1", seen=None, base=1)]})
            assert answer.status == 202, answer.body
        rig.proxy.taken()
        rig.once("mic-land", "--fold-after-ms=0")
        made, failed = rig.proxy.taken()
        assert made.pop("put session if absent") == 1, made
        assert failed == ["get session: 404"] and made.pop("get session") == 1, (made, failed)
        # After the answers of the chain up to now: the head again, whether somebody has closed it meanwhile.
        want = {**DRAIN, "get queue": 11, "delete queue": 11, "get head": 2, "get tree": 1}
        assert made == want, (made, want)
        assert request(rig.port, "POST", f"/projects/demo/sessions/{sid}/land?wait=0", {}).status == 202
        rig.proxy.taken()
        rig.once("mic-land")
        rig.expect(DRAIN, BATCH, {"get queue": 1, "delete queue": 1, "get tree": 1, "get session": 1, "put session if match": 1})


def test_reads(place):
    """Of a file at depth three: head, one suffix read, a range read a level and one for the content; warm, the head."""
    with Rig(place) as rig:
        with Server("mic-api", place) as cold:
            rig.expect(START)
            for budget in ({"get handle": 1, "get head": 1, "get tree": 1 + 3 + 1}, {"get head": 1}):
                assert request(cold.port, "GET", "/projects/demo/files/a/b/c/f").body == b"a/b/c/f"
                rig.expect(budget)
            # At a position that it has seen there is nothing to ask for.
            assert request(cold.port, "GET", "/projects/demo/files/a/b/c/f?at=1").body == b"a/b/c/f"
            rig.expect({"get head": 1})


def test_uploads(place):
    with Rig(place) as rig:
        small, large = b"x" * 100000, os.urandom((3 << 20) + 5)
        found = request(rig.port, "POST", "/projects/demo/blobs", small)
        assert found.status == 201, found.body
        # Afterwards it looks whether a collection is about to take it; there has never been one.
        rig.expect({"put blob": 1, "get gc": 1}, absent=["get gc"])
        assert request(rig.port, "POST", "/projects/demo/blobs", large).status == 201
        rig.expect({"put blob": 4 + 1, "get gc": 1}, absent=["get gc"])
        hashes = {"hashes": [found.json["hash"], "1" * 64]}
        with Server("mic-api", place) as cold:
            rig.proxy.taken()
            for gets in (2, 1):  # what is there is remembered, what is not is looked for again
                request(cold.port, "POST", "/projects/demo/blobs/missing", hashes)
                made, _ = rig.proxy.taken()
                assert sum(n for what, n in made.items() if what.endswith(" blob")) == gets, made


def test_idle_lists_back_off(place):
    """A lander that finds nothing waits twice as long each time; it asks for nothing but the list."""
    with Rig(place) as rig:
        lander = subprocess.Popen([forge.program("mic-land"), place, "--land-poll-min-ms=4ms", "--land-poll-max-ms=256ms"])
        wait_until(lambda: rig.proxy.count("list queue") == 10)
        lander.terminate()
        assert lander.wait(60) == 0
        gaps = rig.proxy.gaps("list queue")
        made, failed = rig.proxy.taken()
        assert {**made, "list queue": 10} == {**START, "list queue": 10} and not failed, (made, failed)
        least = [4, 8, 16, 32, 64, 128, 256, 256, 256]
        assert all(gap >= ms / 1000 for gap, ms in zip(gaps, least)), gaps


TESTS = [test_a_batch_of_landings, test_a_series_is_one_request, test_many_share_a_put_and_a_look, test_an_open_session,
         test_reads, test_uploads, test_idle_lists_back_off]

if __name__ == "__main__":
    forge.main(TESTS, lambda _: forge.s3_place())

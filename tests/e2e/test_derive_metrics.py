#!/usr/bin/env python3
"""The numbers that derivation shows at /metrics: each is read before and after what it counts, and none is left out."""

import os
import random
import re
import subprocess
import threading

import forge
from forge import Server, wait_until
from openapi import request
from test_derive import DERIVE, NOWHERE, get, leaf, project, recipe, result, sha256
from test_derive_more import NO_DISK, slow, slower
from wire import Wire

PREFIX = "mic_derive_"
met = set()  # what a test has looked at


def metrics(port):
    text = request(port, "GET", "/metrics").body.decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"}


def now(port, name):
    met.add(name.split("{")[0])
    return metrics(port).get(PREFIX + name, 0)


def more(port, work, *names):
    """How much each grows by the work."""
    before = [now(port, name) for name in names]
    work()
    return [now(port, name) - was for name, was in zip(names, before)]


def serve(directory, *args):
    server = Server("mic-forge", directory, *args)
    project(server)
    return server


# ---- gets and runs ----------------------------------------------------------------------------


def test_gets_and_memos(directory):
    with serve(directory) as server:
        port = server.port
        words = recipe(port, "lowercase", leaf(port, b"WORDS"))
        top = recipe(port, "reverse", words)
        same = recipe(port, "repeat", words, count="2")
        alike = recipe(port, "repeat", leaf(port, b"words"), count="2")
        names = ("gets_total", "gets_known_total", "runs_total", "memo_hits_total", "memo_misses_total", "recomputed_total")
        assert more(port, lambda: result(port, top), *names) == [1, 0, 2, 0, 2, 0]
        assert more(port, lambda: result(port, top), *names) == [1, 1, 0, 0, 0, 0], "all of it is known"
        assert more(port, lambda: result(port, same), *names) == [1, 0, 1, 1, 1, 0], "what is below is known"
        assert more(port, lambda: result(port, alike), *names) == [1, 0, 0, 1, 0, 0], "another recipe with equal inputs"
        assert more(port, lambda: result(port, leaf(port, b"a leaf")), *names) == [1, 0, 0, 0, 0, 0]
        assert request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0}).json["results"] == 3
        grown = more(port, lambda: result(port, same), *names)
        # What it comes to is still known, and only its bytes are gone.
        assert grown == [1, 0, 2, 1, 0, 2], grown
        top = leaf(port, b"words of another kind")
        for depth in range(1, 5):
            top = recipe(port, "reverse" if depth % 2 else "uppercase", top)
        result(port, top)
        assert now(port, "depth") == 4
        result(port, recipe(port, "length", leaf(port, b"more words")))
        assert now(port, "depth") == 1


def test_runs_that_fail_and_runs_that_stop(directory):
    with serve(directory, *NO_DISK, "--derive-slots", "2") as server:
        port = server.port
        bad = recipe(port, "json.canonicalize", leaf(port, b"{"))
        names = ("runs_total", "runs_failed_total", "runs_stopped_total")
        assert more(port, lambda: get(port, bad), *names) == [1, 1, 0]
        assert more(port, lambda: get(port, recipe(port, "length", bad)), *names) == [1, 1, 0], "a failure is not kept"

        def stop():
            # Nobody wants the first input any more when the second has failed.
            late = recipe(port, "json.canonicalize", slow(port)[0])
            answer = get(port, recipe(port, "concat", slower(port), late))
            assert answer.status == 422 and answer.code == "input_invalid", (answer.status, answer.body)
            wait_until(lambda: now(port, "runs_stopped_total") == 1)

        assert more(port, stop, *names)[1:] == [1, 1]


def test_what_runs_and_what_waits(directory):
    with serve(directory, *NO_DISK, "--derive-slots", "1") as server:
        port = server.port
        assert [now(port, name) for name in ("running", "waiting", "in_flight_bytes", "shared_total")] == [0, 0, 0, 0]
        one, data = slow(port, seed=1)
        other, _ = slow(port, seed=2)
        with Wire(port) as first, Wire(port) as second, Wire(port) as third:
            first.send("GET", f"{DERIVE}/{one}")
            wait_until(lambda: now(port, "running") == 1)
            second.send("GET", f"{DERIVE}/{one}")
            wait_until(lambda: now(port, "shared_total") == 1)
            third.send("GET", f"{DERIVE}/{other}")
            wait_until(lambda: now(port, "waiting") == 1)
            assert now(port, "in_flight_bytes") >= len(data) and now(port, "running") == 1
            for wire in (first, second, third):
                assert wire.answer().status == 200
        wait_until(lambda: [now(port, name) for name in ("running", "waiting", "in_flight_bytes")] == [0, 0, 0])
        assert now(port, "runs_total") == 2


def test_how_long_runs_take(directory):
    with serve(directory) as server:
        port = server.port
        of = '{function="reverse",version="1.0.0"}'
        one = recipe(port, "reverse", leaf(port, b"ab" * 500000))
        assert more(port, lambda: result(port, one), "run_us_count" + of) == [1]
        assert more(port, lambda: result(port, recipe(port, "reverse", one)), "run_us_count" + of) == [1]
        assert more(port, lambda: result(port, one), "run_us_count" + of) == [0], "it did not run"
        assert now(port, "run_us_sum" + of) > 0
        all = metrics(port)
        bounds = [(name, value) for name, value in all.items() if name.startswith(PREFIX + 'run_us_bucket{function="reverse"')]
        met.add("run_us_bucket")
        values = [value for _, value in bounds]
        assert values == sorted(values) and values[-1] == 2 and 'le="+Inf"' in bounds[-1][0], bounds
        assert not any('"uppercase"' in name for name in all) or all[PREFIX + 'run_us_count{function="uppercase",version="1.0.0"}'] == 0


# ---- verification -----------------------------------------------------------------------------

UNSTEADY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <zlib.h>
int deflateInit2_(z_streamp z, int level, int method, int bits, int memory, int strategy, const char *version, int size)
{
    static int runs;
    int (*real)(z_streamp, int, int, int, int, int, const char *, int) = dlsym(RTLD_NEXT, "deflateInit2_");
    (void)level;
    return real(z, runs++ % 2 == 0 ? 1 : 9, method, bits, memory, strategy, version, size);
}
"""


def test_verification(directory):
    # A library under a function that does not give the same twice.
    source, library = os.path.join(directory, "unsteady.c"), os.path.join(directory, "unsteady.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(UNSTEADY)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    os.environ["LD_PRELOAD"] = library
    try:
        server = serve(os.path.join(directory, "bucket"))
    finally:
        del os.environ["LD_PRELOAD"]
    with server:
        port = server.port
        names = ("verified_total", "verify_passed_total", "verify_failed_total")
        steady = recipe(port, "zstd.compress", leaf(port, b"words " * 10000))
        assert more(port, lambda: get(port, steady), *names) == [0, 0, 0]
        assert more(port, lambda: request(port, "POST", f"{DERIVE}/{steady}/verify"), *names) == [1, 1, 0]
        words = bytes(random.Random(1).choices(b"abcd", k=50000))
        one, other = recipe(port, "gzip.compress", leaf(port, words)), recipe(port, "gzip.compress", leaf(port, words * 2))
        assert get(port, one + "?verify=off").status == 200
        answers = []
        assert more(port, lambda: answers.append(get(port, other + "?verify=dual")), *names) == [1, 0, 1]
        answer = answers[0]
        assert answer.status == 409 and answer.code == "quarantined" and answer.json["error"]["field"] == other, answer.body
        hashes = re.findall(r"[0-9a-f]{64}", answer.json["error"]["message"].replace(other, ""))
        assert len(set(hashes)) == 2, "both results are named"
        # What it gave before is not served any more, nor does it run again.
        runs = now(port, "runs_total")
        assert get(port, one).code == get(port, recipe(port, "length", one)).code == "quarantined"
        assert now(port, "runs_total") == runs
        assert get(port, steady).status == 200


# ---- the cache and the log --------------------------------------------------------------------


def test_the_cache(directory):
    few = ("--derive-ram-bytes", "1MiB", *NO_DISK)
    with serve(directory, *few) as server:
        port = server.port
        size = 60000
        large = [recipe(port, "reverse", leaf(port, random.Random(i).randbytes(size))) for i in range(30)]
        assert [now(port, "cache_" + name) for name in ("entries", "bytes", "pinned", "hits_total", "evictions_total")] == [0] * 5
        assert more(port, lambda: result(port, large[0]), "cache_entries", "cache_bytes", "cache_evictions_total") == [1, size, 0]
        hits, misses, damaged = more(port, lambda: result(port, large[0]), "cache_hits_total", "cache_misses_total", "cache_damaged_total")
        assert hits >= 1 and (misses, damaged) == (0, 0)
        assert more(port, lambda: request(port, "POST", f"{DERIVE}/invalidate", {"address": large[0]}), "cache_entries") == [-1]
        assert more(port, lambda: result(port, large[0]), "cache_misses_total")[0] >= 1
        evicted = more(port, lambda: [result(port, a) for a in large], "cache_evictions_total")[0]
        there = now(port, "cache_entries")
        # One that is worth less than all that is there does not come in, and so does not leave.
        assert 0 < evicted <= len(large) - there, (evicted, there)
        assert now(port, "cache_bytes") == there * size <= 1 << 20
        pin = lambda what: request(port, "POST", f"{DERIVE}/{large[-1]}/{what}")
        result(port, large[-1])
        assert more(port, lambda: pin("pin"), "cache_pinned") == [1]
        assert more(port, lambda: pin("unpin"), "cache_pinned") == [-1]


def test_damage(directory):
    with serve(directory) as server:
        made = recipe(server.port, "zstd.compress", leaf(server.port, random.Random(1).randbytes(100000)))
        assert get(server.port, made).status == 200
    folder = os.path.join(directory, ".micelio", "derive")
    files = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    (file,) = [name for name in files if "index" not in os.path.relpath(name, folder) and os.path.getsize(name) > 90000]
    with open(file, "r+b") as damaged:
        damaged.write(b"garbage")
    with Server("mic-forge", directory) as server:
        assert more(server.port, lambda: get(server.port, made), "cache_damaged_total", "recomputed_total") == [1, 1]


def test_the_log(directory):
    with serve(directory) as server:
        port = server.port
        assert now(port, "log_bytes") == 0
        stop = threading.Event()

        def put(seed):
            number = 0
            while not stop.is_set():
                leaf(port, random.Random(f"{seed} {number}").randbytes(60000))
                number += 1

        putters = [threading.Thread(target=put, args=(seed,)) for seed in range(4)]
        for putter in putters:
            putter.start()
        try:
            wait_until(lambda: now(port, "log_bytes") >= 60000)
        finally:
            stop.set()
            for putter in putters:
                putter.join()
        assert now(port, "log_bytes") == 0


def test_no_metric_is_left_out(directory):
    with serve(directory) as server:
        assert result(server.port, recipe(server.port, "sha256", leaf(server.port, b"x"))) == sha256(b"x").encode()
        assert get(server.port, NOWHERE).status == 404
        shown = {name.split("{")[0].removeprefix(PREFIX) for name in metrics(server.port) if name.startswith(PREFIX)}
        assert shown == met, f"no test of {sorted(shown - met)}; not there: {sorted(met - shown)}"


if __name__ == "__main__":
    forge.main([test_gets_and_memos, test_runs_that_fail_and_runs_that_stop, test_what_runs_and_what_waits, test_how_long_runs_take,
                test_verification, test_the_cache, test_damage, test_the_log, test_no_metric_is_left_out])

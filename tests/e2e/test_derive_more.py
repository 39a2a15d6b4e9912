#!/usr/bin/env python3
"""Derivation over the wire: long runs, who leaves and who goes down, verification as it is asked for, functions in quarantine,
a server without a directory and one whose disk is full."""

import ctypes
import os
import random
import resource
import struct
import subprocess
import threading
import time

import forge
from forge import Server, wait_until
from openapi import land, request
from test_cli import DONE, FAILED, USAGE, User
from test_derive import DERIVE, NOWHERE, get, leaf, project, recipe, result, sha256, status
from wire import Wire

INLINE = 64 << 10
# Results in memory only.
NO_DISK = ("--derive-disk-bytes", "0")


def text_of(size, seed=1):
    """What a compressor has to work on."""
    chance = random.Random(seed)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(5000)]
    return b" ".join(chance.choices(words, k=size // 5))[:size]


def slow(port, size=3 << 19, seed=1):
    """A recipe that takes a second or so, and its leaf."""
    data = text_of(size, seed)
    return recipe(port, "zstd.compress", leaf(port, data), level="19"), data


def slower(port):
    """A recipe that takes ten seconds or so."""
    data = b"".join(text_of(3 << 19, seed) for seed in range(2, 10))
    return recipe(port, "zstd.compress", leaf(port, data), level="19")


def busy(port):
    return status(port)["runs"]["running"] > 0


def verified(port):
    now = status(port)["verification"]
    return now["total"], now["passed"], now["failed"]


# ---- long runs --------------------------------------------------------------------------------


def test_what_takes_longer_than_the_wait_is_pending(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        packed, data = slow(port)
        length = recipe(port, "length", recipe(port, "zstd.decompress", packed))
        answer = request(port, "GET", f"{DERIVE}/{length}?wait=1ms")
        assert answer.status == 202 and answer.json["state"] == "running", (answer.status, answer.body)
        # It goes on meanwhile, and says how far it is.
        seen = []
        while answer.status == 202:
            seen.append(answer.json)
            answer = request(port, "GET", f"{DERIVE}/{length}?wait=50ms")
        assert answer.status == 200 and answer.body == b"%d" % len(data), answer.body
        assert any(s["nodes"] == 4 and s["known"] >= 1 and s["running"] == 1 and s.get("address") == packed for s in seen), seen
        assert status(port)["runs"]["runs"] == 3, "who asked again found the run that was under way"
        # A range of it waits, too, and so does a verification.
        other, _ = slow(port, seed=2)
        answer = request(port, "GET", f"{DERIVE}/{other}?wait=1ms", headers={"Range": "bytes=0-3"})
        assert answer.status == 202, answer.status
        assert request(port, "POST", f"{DERIVE}/{packed}/verify?wait=1ms").status == 202
        assert request(port, "GET", f"{DERIVE}/{other}?wait=never").code == "bad_query"


def test_the_command_waits_for_long_runs(directory):
    with Server("mic-forge", os.path.join(directory, "bucket"), "--wait-max-ms", "100") as server:
        project(server)
        port = server.port
        packed, data = slow(port)
        assert get(port, packed).status == 202
        user = User(server, directory)
        done = user.run("derive", "get", packed, "-o", "out", "-p", "demo")
        assert done.returncode == DONE and "computing for" in done.err, (done.out, done.err)
        with open(user.path("out"), "rb") as file:
            assert file.read() == result(port, packed)
        runs = status(port)["runs"]["runs"]
        assert f"deterministic: {sha256(result(port, packed))}" in user.ok("derive", "verify", packed, "-p", "demo")
        # Each time that it asks it finds the same runs, but for those that end between two of its questions.
        assert status(port)["runs"]["runs"] <= runs + 6


def test_a_server_that_ends_answers_who_waits(directory):
    with Server("mic-forge", directory, *NO_DISK) as server:
        project(server)
        port = server.port
        late = slower(port)
        answers = []

        def ask(method, path):
            answers.append(forge.request(port, method, path))

        waiting = [threading.Thread(target=ask, args=asks) for asks in (
            ("GET", f"{DERIVE}/{late}"), ("GET", f"{DERIVE}/{late}?verify=dual"), ("POST", f"{DERIVE}/{late}/verify"))]
        for thread in waiting:
            thread.start()
        wait_until(lambda: busy(port) and status(port)["runs"]["gets"] >= 3)
        assert server.stop() == 0
        for thread in waiting:
            thread.join(timeout=60)
        assert [a.status for a in answers] == [503] * 3, [(a.status, a.body) for a in answers]
        assert all(a.code in ("cancelled", "stopping") and a.headers["Retry-After"] for a in answers), [a.body for a in answers]


def test_who_hangs_up_harms_nobody(directory):
    with Server("mic-forge", directory, *NO_DISK) as server:
        project(server)
        port = server.port
        packed, data = slow(port)
        answers = []
        with Wire(port) as first:
            first.send("GET", f"{DERIVE}/{packed}")
            wait_until(lambda: busy(port))
            other = threading.Thread(target=lambda: answers.append(result(port, packed)))
            other.start()
            wait_until(lambda: status(port)["runs"]["gets"] == 2)
        other.join()
        assert status(port)["runs"]["runs"] == 1 and len(answers) == 1
        assert result(port, recipe(port, "zstd.decompress", packed)) == data
        # And who hangs up in the middle of the bytes.
        large = recipe(port, "repeat", leaf(port, data), count="4")
        with Wire(port) as first:
            first.send("GET", f"{DERIVE}/{large}")
            first.until(b"\r\n\r\n")
            assert result(port, large) == data * 4
        assert result(port, large) == data * 4


def test_a_get_reads_its_references_once(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        old, new = text_of(3 << 19, 3), text_of(3 << 19, 4)
        bind = lambda data: request(port, "PUT", "/projects/demo/refs/x", {"address": leaf(port, data)})
        assert bind(old).status == 200
        late = recipe(port, "zstd.decompress", recipe(port, "zstd.compress", {"ref": "x"}, level="19"))
        both = recipe(port, "concat", recipe(port, "uppercase", late), recipe(port, "lowercase", {"ref": "x"}))
        answers = []
        thread = threading.Thread(target=lambda: answers.append(get(port, both)))
        thread.start()
        wait_until(lambda: busy(port))
        assert bind(new).json["position"] == 2
        thread.join()
        assert answers[0].headers["Mic-Refs-Position"] == "1" and answers[0].body == old.upper() + old.lower()
        again = get(port, both)
        assert again.headers["Mic-Refs-Position"] == "2" and again.body == new.upper() + new.lower()


def test_cascades_over_many_go_on_behind(directory):
    n = 1500
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        lines = recipe(port, "lines.sort", leaf(port, b"".join(b"%06d\n" % i for i in range(n))))
        answer = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [
            {"function": "lines.head", "inputs": [lines], "parameters": {"lines": str(i)}} for i in range(n)]})
        tops = answer.json["addresses"]
        last = recipe(port, "length", recipe(port, "concat", *tops))
        assert result(port, last) == b"%d" % (7 * n * (n - 1) // 2)
        there = status(port)["cache"]["entries"]
        assert there >= n
        answer = request(port, "GET", f"{DERIVE}/dependents?address={lines}&limit=1").json
        assert answer["count"] == n + 2 and answer["depth"] == 3, answer
        ask = {"address": lines, "cascade": True}
        dry = request(port, "POST", f"{DERIVE}/invalidate", {**ask, "dry_run": True}).json
        assert dry["count"] == n + 2 and dry["depth"] == 3 and dry["goes_on"], dry
        time.sleep(0.2)
        assert status(port)["cache"]["entries"] == there, "a dry run frees nothing"
        done = request(port, "POST", f"{DERIVE}/invalidate", ask).json
        assert done["count"] == n + 2 and done["goes_on"] and done["was_cached"] and done["freed"] == 7 * n, done
        wait_until(lambda: status(port)["cache"]["entries"] == 0)
        assert "derive_freed" in server.log_text() and lines in server.log_text()
        runs = status(port)["runs"]["runs"]
        assert result(port, tops[3]) == b"000000\n000001\n000002\n" and status(port)["runs"]["runs"] == runs + 2
        assert result(port, last) == b"%d" % (7 * n * (n - 1) // 2)
        # One without its dependents: nothing goes on.
        one = request(port, "POST", f"{DERIVE}/invalidate", {"address": tops[5]}).json
        assert one == {"was_cached": True, "count": 0, "depth": 0, "freed": 35, "goes_on": False}, one


# ---- verification -----------------------------------------------------------------------------


def test_verification_is_as_it_is_asked_for(directory):
    runs = {"off": 0, "dual": 1, "sampled:0": 0, "sampled:1": 1, "sampled:0.0": 0, "sampled:1.0": 1}
    for server_mode in ("off", "dual", "sampled:0", "sampled:1"):
        place = os.path.join(directory, server_mode)
        with Server("mic-forge", place, "--derive-verify", server_mode) as server:
            project(server)
            port = server.port
            assert status(port)["verification"]["mode"] == server_mode
            number = 0
            for mode in (None, *runs):
                for _ in range(3):
                    before, before_runs = verified(port), status(port)["runs"]["runs"]
                    number += 1
                    address = recipe(port, "uppercase", leaf(port, b"word %d" % number))
                    answer = get(port, address + (f"?verify={mode}" if mode else ""))
                    assert answer.status == 200 and answer.body == b"WORD %d" % number, answer.body
                    more = runs[mode or server_mode]
                    assert verified(port) == (before[0] + more, before[1] + more, 0), (server_mode, mode)
                    assert status(port)["runs"]["runs"] == before_runs + 1 + more
            for wrong in ("", "twice", "sampled", "sampled:", "sampled:2", "sampled:-1", "sampled:x", "dual:1", "sampled:nan"):
                answer = get(port, address + f"?verify={wrong}")
                assert answer.status == 400 and answer.code == "bad_query" and answer.json["error"]["field"] == "verify", wrong


def test_a_verification_mode_that_is_none_is_said(directory):
    for name in ("mic-forge", "mic-api"):
        for wrong in ("perhaps", "sampled:2", "sampled:-0.1", "sampled:"):
            done = subprocess.run([forge.program(name), directory, "--listen", "127.0.0.1:0", "--derive-verify", wrong],
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == USAGE and done.stdout == "", (done.returncode, done.stdout, done.stderr)
            assert done.stderr == f"{name}: derive_verify is {wrong}, and must be off, dual or sampled:RATE with a rate from 0 to 1\n"


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_size_t)]


def derive_object(server, directory, *items):
    """What another node has found out, as it would put it (formats/derive_object.h)."""
    core = ctypes.CDLL(os.path.join(forge.BUILD, "libmic_core.so"))
    core.xxh3_64.argtypes, core.xxh3_64.restype = [Bytes], ctypes.c_uint64
    pid = request(server.port, "GET", "/projects/demo").json["id"]
    agent, number = 0x1234, 1
    body = bytes.fromhex(pid) + struct.pack(">QQQI", agent, number, 1 << 16, len(items)) + b"".join(items)
    envelope = b"MDRV" + struct.pack(">HHQ", 1, 0, core.xxh3_64(Bytes(body, len(body))))
    folder = os.path.join(directory, "projects", pid, "derive", f"{agent:016x}")
    os.makedirs(folder)
    with open(os.path.join(folder, f"{number:016x}.bin"), "wb") as file:
        file.write(envelope + body)


def test_a_function_that_gave_two_results_is_quarantined(directory):
    one, two = sha256(b"one result"), sha256(b"another")
    bucket = os.path.join(directory, "bucket")
    with Server("mic-forge", bucket) as server:
        project(server)
        port = server.port
        words = leaf(port, b"Words")
        upper, lower = recipe(port, "uppercase", words), recipe(port, "lowercase", words)
        above = recipe(port, "concat", lower, upper)
        assert result(port, above) == b"wordsWORDS" and get(port, above).headers["Mic-Ran"] == "no"
        functions = {f["name"]: f for f in request(port, "GET", f"{DERIVE}/functions").json["functions"]}
        name, version = b"uppercase", functions["uppercase"]["version"].encode()
        derive_object(server, bucket, b"\x06" + bytes([len(name)]) + name + bytes([len(version)]) + version + bytes.fromhex(
            functions["uppercase"]["implementation"] + NOWHERE + one + two))
        assert get(port, NOWHERE).status == 404, "a miss looks for what others have told"
        for _ in range(2):
            for address in (upper, above):
                answer = get(port, address)
                assert answer.status == 409 and answer.code == "quarantined" and answer.json["error"]["field"] == upper, answer.body
                assert one in answer.json["error"]["message"] and two in answer.json["error"]["message"]
                assert get(port, address, Range="bytes=0-1").code == "quarantined"
            assert result(port, lower) == b"words", "another function is not"
            answer = request(port, "POST", f"{DERIVE}/{upper}/verify").json
            assert not answer["deterministic"] and one in answer["error"] and two in answer["error"], answer
            user = User(server, directory)
            assert "quarantined" in user.fails(FAILED, "derive", "get", above, "-p", "demo")
            said = user.fails(FAILED, "derive", "verify", upper, "-p", "demo")
            assert one in said and two in said, said
            # Nor after a restart.
            server.stop()
            server = Server("mic-forge", bucket)
            port = server.port
        server.stop()


# ---- where results lie ------------------------------------------------------------------------


def test_without_a_directory_all_else_works(directory):
    with Server("mic-forge", os.path.join(directory, "bucket"), "--derive-dir", "/dev/null/x") as server:
        project(server)
        port = server.port
        some = f"{DERIVE}/{NOWHERE}"
        for method, path, body in (
                ("POST", f"{DERIVE}/leaves", b"x"), ("POST", f"{DERIVE}/recipes", {"function": "identity", "inputs": [NOWHERE]}),
                ("POST", f"{DERIVE}/leaves", bytes(INLINE + 1)),
                ("POST", f"{DERIVE}/invalidate", {"address": NOWHERE}), ("POST", f"{DERIVE}/collect", {}),
                ("GET", f"{DERIVE}/dependents?address={NOWHERE}", None), ("GET", f"{DERIVE}/pins", None),
                ("GET", f"{DERIVE}/status", None), ("GET", some, None), ("GET", f"{some}/recipe", None),
                ("GET", f"{some}/lineage", None), ("POST", f"{some}/verify", None), ("POST", f"{some}/pin", None),
                ("POST", f"{some}/unpin", None)):
            answer = request(port, method, path, body)
            assert answer.status == 503 and answer.code == "derive_off" and answer.headers["Retry-After"], (path, answer.status, answer.body)
        assert len(request(port, "GET", f"{DERIVE}/functions").json["functions"]) == 33
        assert land(port, "demo", [forge.write("a", "1\n")]).status == 200
        assert request(port, "GET", "/projects/demo/files/a").body == b"1\n"
        bound = request(port, "PUT", "/projects/demo/refs/x", {"address": sha256(b"1\n")})
        assert bound.status == 200 and request(port, "GET", "/projects/demo/refs/x").json["address"] == sha256(b"1\n"), bound.body
        assert request(port, "DELETE", "/projects/demo/refs/x").status == 200
        assert "mic_derive_" not in request(port, "GET", "/metrics").body.decode()
        assert request(port, "GET", "/health").json["status"] == "ok"
        assert "derives_nothing" in server.log_text()
        user = User(server, directory)
        assert "derive_off" in user.fails(FAILED, "derive", "status", "-p", "demo")


def test_on_a_full_disk_results_are_served(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        small = leaf(port, b"0123456789abcdef" * 64)
        kept = recipe(port, "reverse", recipe(port, "repeat", small, count="500"))
        # No file may be longer than this from now on; the result's would be.
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))
        large = recipe(port, "reverse", recipe(port, "repeat", small, count="3000"))
        wanted = (b"0123456789abcdef" * 64 * 3000)[::-1]
        answer = get(port, large)
        assert answer.status == 200 and answer.body == wanted
        assert result(port, kept) == wanted[:500 << 10]
        wait_until(lambda: "derive_results_not_kept" in server.log_text())
        other = recipe(port, "uppercase", recipe(port, "repeat", small, count="4000"))
        assert result(port, other) == b"0123456789ABCDEF" * 64 * 4000
        assert server.log_text().count("derive_results_not_kept") == 1, "it is said once"
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with Server("mic-forge", directory) as server:
        assert result(server.port, large) == wanted


if __name__ == "__main__":
    forge.main([test_what_takes_longer_than_the_wait_is_pending, test_the_command_waits_for_long_runs,
                test_a_server_that_ends_answers_who_waits, test_who_hangs_up_harms_nobody,
                test_a_get_reads_its_references_once, test_cascades_over_many_go_on_behind,
                test_verification_is_as_it_is_asked_for, test_a_verification_mode_that_is_none_is_said,
                test_a_function_that_gave_two_results_is_quarantined, test_without_a_directory_all_else_works,
                test_on_a_full_disk_results_are_served])

#!/usr/bin/env python3
"""References over the wire and by `mic ref`: compare and set, history, the project's own tree, and all that looks after a
bucket."""

import hashlib
import os
import subprocess
import threading
import time

import forge
from forge import Server, write
from openapi import land, request
from test_cli import CONFLICT, DONE, FAILED, User, begin  # noqa: F401

REFS = "/projects/demo/refs"


def address(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def bind(port, name, to, **more):
    return request(port, "PUT", f"{REFS}/{name}", {"address": to, **more})


def bound(port, name):
    answer = request(port, "GET", f"{REFS}/{name}")
    assert answer.status in (200, 404), answer.body
    return answer.json["address"] if answer.status == 200 else None


def project(server):
    answer = request(server.port, "POST", "/projects", {"handle": "demo"})
    assert answer.status == 201, answer.body
    return answer.json["id"]


def run(name, *args):
    done = subprocess.run([forge.program(name), *args], capture_output=True, text=True, timeout=120)
    print(name, *args, done.returncode, done.stdout[-600:], done.stderr[-600:], flush=True)
    return done


# ---- over the wire ----------------------------------------------------------------------------


def test_compare_and_set(directory):
    one, two, three = address(1), address(2), address(3)
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        assert bound(port, "a/b") is None
        assert request(port, "GET", REFS).json == {"refs": []}
        answer = bind(port, "a/b", one, expected=None)
        assert answer.status == 200 and answer.json["state"] == "decided" and answer.json["position"] == 1, answer.body
        assert bound(port, "a/b") == one
        assert bound(port, "a%2Fb") == one
        answer = bind(port, "a/b", two, expected=None)
        assert answer.status == 409 and answer.code == "ref_conflict" and one in answer.json["error"]["message"], answer.body
        assert bind(port, "a/b", two, expected=three).code == "ref_conflict"
        assert bind(port, "a/b", two, expected=one).json["position"] == 2
        # A retry of it finds it done, and lands nothing.
        assert bind(port, "a/b", two, expected=one).json["position"] == 2
        assert bind(port, "a/b", three).status == 200
        answer = request(port, "DELETE", f"{REFS}/a/b?expected={one}")
        assert answer.status == 409 and answer.code == "ref_conflict", answer.body
        answer = request(port, "DELETE", f"{REFS}/a/b?expected={three}")
        assert answer.status == 200 and answer.json["address"] is None and answer.json["position"] == 4, answer.body
        assert bound(port, "a/b") is None
        assert request(port, "DELETE", f"{REFS}/a/b").status == 404
        log = request(port, "GET", f"{REFS}/a/b/log").json
        assert [(e["position"], e["address"]) for e in log["entries"]] == [(4, None), (3, three), (2, two), (1, one)], log
        assert {e["author"] for e in log["entries"]} == {"ann"} and "next" not in log
        log = request(port, "GET", f"{REFS}/a/b/log?limit=3").json
        assert log["next"] == 1 and len(log["entries"]) == 3
        log = request(port, "GET", f"{REFS}/a/b/log?limit=3&before=1").json
        assert [e["position"] for e in log["entries"]] == [1], log
        assert request(port, "GET", f"{REFS}/other/log").status == 404


def test_what_is_refused(directory):
    one = address(1)
    with Server("mic-forge", directory) as server:
        pid = project(server)
        port = server.port
        for name in ("head", "head/a", "a/log", "a//b", ".git/a", "a/../b", ""):
            answer = request(port, "PUT", f"{REFS}/{name}", {"address": one})
            assert answer.status == 422 and answer.code == "ref_invalid", (name, answer.body)
        for body, code in (({}, "missing_field"), ({"address": "12"}, "bad_value"), ({"address": one, "expected": 1}, "wrong_type"),
                           ({"address": one, "expected": "x"}, "bad_value"), ({"address": one, "more": 1}, "unknown_field"),
                           ({"address": "0" * 64}, "field_invalid")):
            answer = request(port, "PUT", f"{REFS}/a", body)
            assert answer.status in (400, 422) and answer.code == code, (body, answer.body)
        assert request(port, "PUT", f"{REFS}/a", {"address": one}, author=None).code == "author_missing"
        assert request(port, "DELETE", f"{REFS}/a?expected=x").code == "bad_query"
        assert request(port, "POST", f"{REFS}/a", {}).headers["Allow"] == "GET, HEAD, PUT, DELETE"
        assert bind(port, "a/b", one).status == 200
        assert bind(port, "a", one).code == "ref_clash"
        assert bind(port, "a/b/c", one).code == "ref_clash"
        # Whoever knows the bit in an id gets nowhere by it.
        other = f"{int(pid[0], 16) | 8:x}{pid[1:]}"
        assert int(pid[0], 16) < 8 and other != pid
        for path in ("", "/head", "/log", "/tree/", "/sessions", "/refs", "/files/a/b"):
            assert request(port, "GET", f"/projects/{pid}{path}").status in (200, 404)
            answer = request(port, "GET", f"/projects/{other}{path}")
            assert answer.status == 404, (path, answer.status)
        assert land(port, other, [write("x", "y")]).status == 404
        assert request(port, "GET", "/projects").json["projects"] == [{"id": pid, "handle": "demo"}]
        assert request(port, "GET", "/projects/demo/head").json["position"] == 0
        assert request(port, "GET", "/projects/demo/sessions").json == {"sessions": []}


def test_head_and_what_lies_below(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        assert land(port, "demo", [write("src/a", "text"), write("b", "more")]).status == 200
        content = request(port, "GET", "/projects/demo/head").json["content"]
        head = request(port, "GET", f"{REFS}/head").json
        assert head == {"name": "head", "address": content, "kind": "dir", "position": 1}, head
        below = request(port, "GET", f"{REFS}/head?path=src").json
        listed = request(port, "GET", "/projects/demo/tree/").json["entries"]
        assert below["address"] == next(e["hash"] for e in listed if e["name"] == "src") and below["path"] == "src"
        file = request(port, "GET", f"{REFS}/head?path=src/a").json
        assert file["address"] == hashlib.sha256(b"text").hexdigest() and file["kind"] == "file"
        assert request(port, "GET", f"{REFS}/head?path=none").status == 404
        assert bind(port, "release", content).status == 200
        assert land(port, "demo", [write("b", "other")]).status == 200
        assert bound(port, "release") == content != bound(port, "head")


def test_lists(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        names = [f"all/{i:02}/{k}" for i in range(12) for k in ("x", "y")]
        for name in names:
            assert bind(server.port, name, address(name)).status == 200
        found, after = [], ""
        while True:
            page = request(server.port, "GET", f"{REFS}?limit=7&after={after}").json
            found += page["refs"]
            if "next" not in page:
                break
            after = page["next"]
        assert [(r["name"], r["address"]) for r in found] == [(n, address(n)) for n in names]
        page = request(server.port, "GET", f"{REFS}?prefix=all/03").json
        assert [r["name"] for r in page["refs"]] == ["all/03/x", "all/03/y"]


# ---- at once ----------------------------------------------------------------------------------


def test_one_counter_many_hands(directory):
    """Each adds to it by compare and set: no step is lost, none is done twice."""
    hands, steps = 6, 12
    with Server("mic-forge", directory) as server:
        project(server)
        assert bind(server.port, "counter", address(0)).status == 200
        numbers = {address(n): n for n in range(hands * steps + 1)}
        wrong = []

        def count():
            try:
                done = 0
                while done < steps:
                    at = bound(server.port, "counter")
                    answer = bind(server.port, "counter", address(numbers[at] + 1), expected=at)
                    assert answer.status in (200, 409), answer.body
                    # Two that go to the same value are one and the same to a retry: who was first is told by the log.
                    done += answer.status == 200
            except Exception as e:
                wrong.append(e)

        threads = [threading.Thread(target=count) for _ in range(hands)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        last = numbers[bound(server.port, "counter")]
        log = request(server.port, "GET", f"{REFS}/counter/log?limit=1000").json["entries"]
        values = [numbers[e["address"]] for e in reversed(log)]
        # Every landing goes one up, but for those that found it done.
        assert values == sorted(values) and set(values) == set(range(last + 1)), values


def test_binds_without_a_condition_all_land(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        wrong = []

        def hand(number):
            try:
                for i in range(15):
                    answer = bind(server.port, "shared", address(f"{number} {i}"))
                    assert answer.status == 200, answer.body
            except Exception as e:
                wrong.append(e)

        threads = [threading.Thread(target=hand, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        log = request(server.port, "GET", f"{REFS}/shared/log?limit=1000").json["entries"]
        assert len(log) == 90 and len({e["address"] for e in log}) == 90


# ---- cycles -----------------------------------------------------------------------------------


def over(port, name):
    """The address of a recipe over a ref."""
    body = {"function": "identity", "inputs": [{"ref": name}], "parameters": {}}
    answer = request(port, "POST", "/projects/demo/derive/recipes", body)
    assert answer.status == 201, answer.body
    return answer.json["address"]


def test_cycles(directory):
    """In turn, and at once through two servers: whoever is second is told."""
    with Server("mic-forge", directory) as one, Server("mic-api", directory) as two:
        project(one)
        answer = bind(one.port, "self", over(one.port, "self"))
        assert answer.status == 409 and answer.code == "ref_cycle" and "self over self" in answer.json["error"]["message"], answer.body
        assert bind(one.port, "a", over(one.port, "b")).status == 200
        answer = bind(two.port, "b", over(two.port, "a"))
        assert answer.status == 409 and "b over a over b" in answer.json["error"]["message"], answer.body
        for round in range(15):
            names = [f"{round}/x", f"{round}/y"]
            ways = [(one.port, names[0], over(one.port, names[1])), (two.port, names[1], over(two.port, names[0]))]
            answers = [None, None]

            def go(i):
                answers[i] = bind(*ways[i])

            threads = [threading.Thread(target=go, args=(i,)) for i in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(a.status for a in answers) == [200, 409], [a.body for a in answers]
            assert next(a.code for a in answers if a.status == 409) == "ref_cycle"


# ---- who looks after it -----------------------------------------------------------------------


def test_kept(directory):
    bucket = os.path.join(directory, "bucket")
    with Server("mic-forge", bucket) as server:
        project(server)
        assert land(server.port, "demo", [write("a", "text")]).status == 200
        for i in range(120):
            assert bind(server.port, f"n/{i % 7}", address(i)).status == 200
        server.kill()
    refs = {f"n/{i % 7}": address(i) for i in range(120)}
    then = time.time() - 10 * 86400
    for name in forge.objects(bucket):
        os.utime(os.path.join(bucket, name), (then, then))
    for name in ("mic-append", "mic-rollup"):
        assert run(name, bucket, "--once").returncode == 0
    assert any("/refs/landing-log/000000000001-000000000101.log" in name for name in forge.objects(bucket))
    assert any("/refs/landing-log/bloom-index/level-1/" in name for name in forge.objects(bucket))
    assert run("mic-fsck", bucket).returncode == 0
    done = run("mic-gc", bucket, "--act")
    assert done.returncode == 0 and "demo/refs: " in done.stdout
    done = run("mic-gc", bucket, "demo")
    assert done.returncode == 0 and "demo: " in done.stdout and "demo/refs: " in done.stdout
    done = run("mic-pack", bucket, "--all", "--always")
    assert done.returncode == 0 and "demo/refs at position 120" in done.stdout
    done = run("mic-replay", bucket, "demo", "--verify")
    assert done.returncode == 0 and "demo/refs agrees up to position 120" in done.stdout
    assert run("mic-replay", bucket, "demo", "--into", "copy").returncode == 0
    done = run("mic-fsck", bucket, "--deep")
    assert done.returncode == 0, done.stdout
    with Server("mic-forge", bucket) as server:
        for name in ("demo", "copy"):
            found = request(server.port, "GET", f"/projects/{name}/refs").json["refs"]
            assert {r["name"]: r["address"] for r in found} == refs, name
        log = request(server.port, "GET", "/projects/copy/refs/n/3/log").json["entries"]
        assert len(log) == 17 and log[0]["address"] == refs["n/3"]
        assert bind(server.port, "n/new", address("new")).json["position"] == 121


# ---- the command ------------------------------------------------------------------------------


def test_command(directory):
    one, two = address(1), address(2)
    server, ann, ws = begin(directory, {"src/a": "text"})
    with server:
        assert ann.json("ref", "bind", "a/b", one, cwd=ws) == {"name": "a/b", "address": one, "position": 1, "affected": 0,
                                                                      "depth": 0}
        assert ann.ok("ref", "get", "a/b", cwd=ws) == one + "\n"
        said = ann.fails(CONFLICT, "ref", "bind", "a/b", two, "--expect", "none", cwd=ws)
        assert one in said and "ref_conflict" in said
        ann.fails(CONFLICT, "ref", "bind", "a/b", two, "--expect", two[::-1], cwd=ws)
        assert ann.ok("ref", "bind", "a/b", two, "--expect", one, cwd=ws) == ""
        ann.ok("ref", "bind", "c", one, "--project", "demo")
        assert ann.ok("ref", "ls", cwd=ws) == f"{two} a/b\n{one} c\n"
        assert ann.ok("ref", "ls", "a", cwd=ws) == f"{two} a/b\n"
        assert [r["name"] for r in ann.json("ref", "ls", cwd=ws)["refs"]] == ["a/b", "c"]
        assert ann.ok("ref", "get", "head", "src/a", cwd=ws) == hashlib.sha256(b"text").hexdigest() + "\n"
        assert ann.json("ref", "get", "head", cwd=ws)["kind"] == "dir"
        ann.fails(CONFLICT, "ref", "rm", "a/b", "--expect", one, cwd=ws)
        assert ann.ok("ref", "rm", "a/b", "--expect", two, cwd=ws) == ""
        ann.fails(FAILED, "ref", "rm", "a/b", cwd=ws)
        ann.fails(FAILED, "ref", "get", "a/b", cwd=ws)
        log = ann.json("ref", "log", "a/b", cwd=ws)["entries"]
        assert [e["address"] for e in log] == [None, two, one]
        lines = ann.ok("ref", "log", "a/b", "--limit", "2", cwd=ws).splitlines()
        assert len(lines) == 2 and lines[0].endswith("  ann  deleted") and lines[1].endswith(two)
        # The project's own history does not have it.
        assert len(ann.json("log", cwd=ws)["entries"]) == 1


if __name__ == "__main__":
    forge.main([
        test_compare_and_set,
        test_what_is_refused,
        test_head_and_what_lies_below,
        test_lists,
        test_one_counter_many_hands,
        test_binds_without_a_condition_all_land,
        test_cycles,
        test_kept,
        test_command,
    ])

#!/usr/bin/env python3
"""`mic status --remote`: it says what `mic land` would, names who was there first, and sends and changes nothing."""

import json
import os

import forge
from forge import land, write
from test_cli import CONFLICT, DONE, FAILED, USAGE, begin, get, put


def objects(server):
    """What lies in the bucket, but for the queue."""
    return sorted(os.path.join(d, n) for d, _, names in os.walk(server.directory) for n in names if "/queue/" not in d)


def test_it_would_land(directory):
    server, ann, ws = begin(directory, {"src/a": "0\n", "b": "0\n"})
    with server:
        assert "the project is at position 1" in ann.ok("status", "--remote", cwd=ws)
        put(ws, "src/a", text="1\n")
        put(ws, "new/large", text=os.urandom(3 << 20))
        os.unlink(os.path.join(ws, "b"))
        before = objects(server)
        said = ann.ok("status", "--remote", cwd=ws)
        assert "modified  src/a" in said and said.endswith("at position 1 it would land\n"), said
        told = ann.json("status", "--remote", cwd=ws)
        assert told["remote"]["verdict"] == "clean" and told["remote"]["position"] == 1 and told["remote"]["conflicts"] == [], told
        assert objects(server) == before
        # Others land elsewhere, and what is wanted here.
        land(server.port, "demo", [write("src/c", "x"), write("src/a", "1\n"), {"op": "delete", "path": "b"}], author="bob")
        assert ann.ok("status", "--remote", cwd=ws).endswith("at position 2 it would land\n")
        assert "remote" not in ann.json("status", cwd=ws)
        ann.ok("land", "-m", "now", cwd=ws)


def test_it_would_conflict(directory):
    server, ann, ws = begin(directory, {"src/a": "0\n", "lib/b": "0\n"})
    with server:
        put(ws, "src/a", text="mine\n")
        put(ws, "x/y", text="mine\n")
        for n in range(3):
            land(server.port, "demo", [write("src/a", f"{n}\n")], goal=f"change {n}\nin detail", author="bob")
        land(server.port, "demo", [write("x", "a file\n")], goal="in the way", author="eve")
        done = ann.run("status", "--remote", cwd=ws)
        assert done.returncode == CONFLICT, (done.out, done.err)
        assert done.out.splitlines()[-9:] == [
            "at position 5 it would conflict: 2 paths were changed by others",
            "  src/a (operation)", done.out.splitlines()[-7],
            "    by landing 4 of bob: change 2", "    by landing 3 of bob: change 1", "    by landing 2 of bob: change 0",
            "  x (ancestor)", done.out.splitlines()[-2], "    by landing 5 of eve: in the way"], done.out
        assert "seen absent, there is file" in done.out.splitlines()[-2]
        remote = ann.json("status", "--remote", cwd=ws, status=CONFLICT)["remote"]
        assert remote["verdict"] == "conflicted" and remote["conflicts_total"] == 2
        a = remote["conflicts"][0]
        assert (a["path"], a["base"], a["more"], [x["position"] for x in a["landings"]]) == ("src/a", 1, False, [4, 3, 2])
        refused = ann.json("land", "-m", "mine", cwd=ws, status=CONFLICT)
        assert [(c["path"], c["by"]) for c in refused["conflicts"]] == [(c["path"], c["by"]) for c in remote["conflicts"]]
        # What a sync has left to do comes first.
        ann.fails(CONFLICT, "sync", cwd=ws)
        assert "conflicts to deal with" in ann.fails(CONFLICT, "status", "--remote", cwd=ws)


def test_guards(directory):
    server, ann, ws = begin(directory, {"src/a": "0\n", "lib/b": "0\n"})
    with server:
        land(server.port, "demo", [write("lib/c", "x")], author="bob")
        put(ws, "src/a", text="mine\n")
        assert ann.json("status", "--remote", cwd=ws)["remote"]["verdict"] == "clean"
        remote = ann.json("status", "--remote", "--guard", "lib", "--guard", "src/a", cwd=ws, status=CONFLICT)["remote"]
        assert [(c["path"], c["what"], [x["author"] for x in c["landings"]]) for c in remote["conflicts"]] == [("lib", "guard", ["bob"])]
        assert "--remote" in ann.fails(USAGE, "status", "--guard", "lib", cwd=ws)


def test_the_session_that_was_started(directory):
    server, ann, ws = begin(directory, {"src/a": "0\n", "lib/b": "0\n", "d": "0\n"})
    with server:
        sid = ann.json("session", "start", "-m", "a goal", cwd=ws)["session"]
        ann.ok("session", "guard", "lib", cwd=ws)
        put(ws, "src/a", text="mine\n")
        put(ws, "d", text="mine\n")
        assert ann.json("status", "--remote", cwd=ws)["remote"]["verdict"] == "clean"
        land(server.port, "demo", [write("lib/b", "1\n"), write("d", "1\n")], author="bob")
        remote = ann.json("status", "--remote", cwd=ws, status=CONFLICT)["remote"]
        assert sorted((c["path"], c["what"]) for c in remote["conflicts"]) == [("d", "operation"), ("lib", "guard")]
        ann.fails(CONFLICT, "land", cwd=ws)
        # The session at the server wrote d; here it is as in the base again, and the workspace moves on.
        put(ws, "d", text="0\n")
        ann.ok("sync", cwd=ws)
        assert get(ws, "d") == b"1\n"
        before = ann.json("session", "show", cwd=ws)
        assert ann.json("status", "--remote", cwd=ws)["remote"]["verdict"] == "clean"
        assert ann.json("session", "show", cwd=ws) == before
        # Somebody lands it meanwhile, from elsewhere.
        assert forge.request(server.port, "POST", f"/projects/demo/sessions/{sid}/abandon?wait=10s", {}).status == 200
        done = ann.run("status", "--remote", cwd=ws)
        assert done.returncode == FAILED and "the session has its answer: abandoned" in done.out, done.out
        assert ann.json("status", "--remote", cwd=ws, status=FAILED)["remote"]["answer"]["verdict"] == "abandoned"


def test_nobody_to_ask(directory):
    server, ann, ws = begin(directory, {"src/a": "0\n"})
    with server:
        put(ws, "src/a", text="mine\n")
    done = ann.run("status", "--remote", "--json", cwd=ws)
    assert done.returncode == FAILED and done.err, done.err
    assert json.loads(done.out)["changes"] == [{"path": "src/a", "state": "modified"}]
    assert ann.run("status", cwd=ws).returncode == DONE


if __name__ == "__main__":
    forge.main([test_it_would_land, test_it_would_conflict, test_guards, test_the_session_that_was_started, test_nobody_to_ask])

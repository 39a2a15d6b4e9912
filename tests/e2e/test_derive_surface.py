#!/usr/bin/env python3
"""The edges of derivation: odd headers, odd questions, and what is said about them; by HTTP and by `mic`."""

import json
import os
import socket
import threading

import forge
from forge import Server, wait_until
from openapi import request
from test_cli import FAILED, USAGE, User
from test_derive import DERIVE, NOWHERE, get, leaf, project, recipe, result


def bind(port, name, address):
    answer = request(port, "PUT", f"/projects/demo/refs/{name}", {"address": address})
    assert answer.status == 200, answer.body
    return answer.json


def test_a_range_with_a_condition(directory):
    """Whether the condition holds is known when the content is; nothing of this was computed before."""
    with Server("mic-forge", directory) as server:
        project(server)
        letters = leaf(server.port, b"abcdefgh")
        for i, (condition, status, body) in enumerate((('"x"', 200, b"abcdefgh"), ("x", 200, b"abcdefgh"), ("", 200, b"abcdefgh"))):
            address = recipe(server.port, "concat", *[letters] * (i + 2))
            answer = get(server.port, address, Range="bytes=2-4", **{"If-Range": condition})
            assert (answer.status, answer.body) == (status, body * (i + 2)), answer.body
        address = recipe(server.port, "slice", letters, start="1")
        tag = get(server.port, address).headers["ETag"]
        answer = get(server.port, address, Range="bytes=2-4", **{"If-Range": tag})
        assert (answer.status, answer.body) == (206, b"def")


def test_a_part_is_named_by_what_it_is_a_part_of(directory):
    """What a name is bound to is part of that: who has the part of an old result is not told that it still is."""
    with Server("mic-forge", directory) as server:
        project(server)
        old, new = leaf(server.port, b"old content"), leaf(server.port, b"the new content")
        bind(server.port, "name", old)
        address = recipe(server.port, "concat", {"ref": "name"}, {"ref": "name"})
        part = get(server.port, address, Range="bytes=0-2")
        assert (part.status, part.body) == (206, b"old")
        again = get(server.port, address, Range="bytes=0-2", **{"If-None-Match": part.headers["ETag"]})
        assert again.status == 304
        bind(server.port, "name", new)
        again = get(server.port, address, Range="bytes=0-2", **{"If-None-Match": part.headers["ETag"]})
        assert (again.status, again.body) == (206, b"the")
        again = get(server.port, address, Range="bytes=3-5", **{"If-Range": part.headers["ETag"]})
        assert (again.status, again.body) == (200, b"the new content" * 2)


def test_ranges_while_a_name_moves(directory):
    """The size that a range is counted by is that of the bytes which come."""
    with Server("mic-forge", directory) as server:
        project(server)
        texts = [b"0123456789" * n for n in (1, 7, 3, 100)]
        leaves = [leaf(server.port, text) for text in texts]
        bind(server.port, "name", leaves[0])
        address = recipe(server.port, "slice", {"ref": "name"}, start="5")
        whole = {len(text) - 5: text[5:] for text in texts}
        stop = []

        def move():
            while not stop:
                for one in leaves:
                    bind(server.port, "name", one)
        mover = threading.Thread(target=move)
        mover.start()
        try:
            for i in range(2000):
                wish = ("bytes=0-", "bytes=-4", "bytes=3-", "bytes=2-3")[i % 4]
                answer = get(server.port, address, Range=wish)
                assert answer.status == 206, answer.body
                place, size = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
                first, last = map(int, place.split("-"))
                assert answer.body == whole[int(size)][first:last + 1], (wish, place, size)
        finally:
            stop.append(True)
            mover.join()


def test_what_is_missing_is_named(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        for what in ("", "/recipe", "/lineage"):
            answer = request(server.port, "GET", f"{DERIVE}/{NOWHERE}{what}")
            assert (answer.status, answer.code) == (404, "not_found"), answer.body
            assert answer.json["error"]["field"] == NOWHERE
            assert answer.json["error"]["message"] == f"{NOWHERE} is not a leaf, a recipe or a tree of this project"
        bind(server.port, "name", leaf(server.port, b"bytes"))
        for path, field, message in (("other", "name", "other is not bound"), ("other?path=x", "name", "other is not bound"),
                                     ("head?path=x", "path", "the project has nothing under x"),
                                     ("name?path=x", "path", "what name is bound to is no directory that has x"),
                                     ("other/log", "name", "other was never bound")):
            answer = request(server.port, "GET", f"/projects/demo/refs/{path}")
            assert (answer.status, answer.code) == (404, "not_found"), answer.body
            assert (answer.json["error"]["field"], answer.json["error"]["message"]) == (field, message), answer.body
        # Of many recipes, which one.
        good = {"function": "uppercase", "inputs": [NOWHERE], "parameters": {}}
        for bad, field in (({**good, "function": "nothing"}, "recipes[1].function"), ({**good, "inputs": []}, "recipes[1]"),
                           ({"function": "repeat", "inputs": [NOWHERE], "parameters": {"count": "x"}}, "recipes[1].count")):
            answer = request(server.port, "POST", f"{DERIVE}/recipes", {"recipes": [good, bad, good]})
            assert (answer.status, answer.json["error"]["field"]) == (422, field), answer.body


def test_the_command_says_what_is_wrong(directory):
    with Server("mic-forge", directory) as server:
        user = User(server, directory)
        user.ok("project", "create", "demo")
        address = leaf(server.port, b"some text\n")
        where = ("-p", "demo")
        for words, status, text in (
                (["derive"], USAGE, "mic derive is followed by one of: leaf, recipe"),
                (["derive", "nothing"], USAGE, "mic help derive lists them"),
                (["derive", "get", address.upper(), *where], USAGE, "64 lower-case hex digits"),
                *((["derive", "get", address, "--range", wrong, *where], USAGE, f"--range {wrong} is none of FROM-TO, FROM- and -LAST")
                  for wrong in ("x", "5-2", "-", "0-1,3-4", "1-x", "")),
                (["derive", "recipe", "repeat", address, "--param", "count=1", "--param", "count=2", *where], USAGE,
                  "--param count is given twice"),
                (["derive", "recipe", "identity", "@", *where], USAGE, '"" is no name of a ref: it is empty'),
                (["derive", "recipe", "identity", "@head//a/../b", *where], USAGE, '"a/../b" is no path'),
                (["derive", "lineage", address, "--dot", "--json", *where], USAGE, "--dot is no JSON"),
                (["derive", "show", NOWHERE, *where], FAILED, f"mic: {NOWHERE} is not a leaf, a recipe or a tree of this project"),
                (["ref", "get", "nothing", *where], FAILED, "nothing is not bound")):
            done = user.run(*words)
            assert done.returncode == status and text in done.err and not done.out, (words, done)
        for wish, text in (("2-5", "me t"), ("5-", "text\n"), ("-3", "xt\n")):
            assert user.ok("derive", "get", address, "--range", wish, *where) == text
        # What does not come takes nobody's place.
        out = os.path.join(directory, "out")
        with open(out, "w") as file:
            file.write("before")
        assert user.run("derive", "get", NOWHERE, "-o", out, *where).returncode == FAILED
        with open(out) as file:
            assert file.read() == "before"
        user.ok("derive", "get", leaf(server.port, b""), "-o", out, *where)
        assert os.path.getsize(out) == 0


def test_the_command_prints_all_pages_as_one(directory):
    with Server("mic-forge", directory, "--chunk-size", "64KiB") as server:
        user = User(server, directory)
        user.ok("project", "create", "demo")
        address = leaf(server.port, b"x")
        recipes = [{"function": "repeat", "inputs": [address], "parameters": {"count": str(i)}} for i in range(1500)]
        made = sorted(request(server.port, "POST", f"{DERIVE}/recipes", {"recipes": recipes}).json["addresses"])
        answer = json.loads(user.ok("derive", "dependents", address, "-p", "demo", "--json"))
        assert (answer["count"], answer["depth"], sorted(answer["addresses"])) == (1500, 1, made)
        assert sorted(user.ok("derive", "dependents", address, "-p", "demo").split()) == made
        assert json.loads(user.ok("derive", "pins", "-p", "demo", "--json")) == {"addresses": []}
        # And those of chunks.
        block = leaf(server.port, os.urandom(64 << 10))
        large = recipe(server.port, "repeat", block, count="1100")
        answer = json.loads(user.ok("derive", "chunks", large, "-p", "demo", "--json"))
        assert answer["size"] == 1100 << 16 and answer["lasts"] is True
        assert [chunk["offset"] for chunk in answer["chunks"]] == [i << 16 for i in range(1100)]
        assert {chunk["address"] for chunk in answer["chunks"]} == {block}
        assert len(user.ok("derive", "chunks", large, "-p", "demo").splitlines()) == 1100


def test_a_bind_says_what_it_affects(directory):
    with Server("mic-forge", directory) as server:
        user = User(server, directory)
        user.ok("project", "create", "demo")
        first, second = leaf(server.port, b"1"), leaf(server.port, b"2")
        over = recipe(server.port, "identity", recipe(server.port, "identity", {"ref": "name"}))
        done = user.run("ref", "bind", "name", first, "-p", "demo")
        assert (done.out, done.err) == ("", "mic: 2 recipes depend on it, directly or not; 2 deep\n"), done
        assert result(server.port, over) == b"1"
        done = user.run("ref", "bind", "name", second, "-p", "demo", "--json")
        told = json.loads(done.out)
        assert (told["affected"], told["depth"]) == (2, 2), told
        assert result(server.port, over) == b"2"
        assert user.run("ref", "bind", "other", second, "-p", "demo").err == ""


def test_a_directory_that_cannot_be_used(directory):
    """Is said as an error, for it does not mend itself; and all else works."""
    there = os.path.join(directory, "file")
    with open(there, "w"):
        pass
    with Server("mic-forge", os.path.join(directory, "bucket"), "--derive-dir", there) as server:
        project(server)
        for method, what, body in (("GET", "/status", None), ("GET", "/pins", None), ("GET", f"/{NOWHERE}", None),
                                   ("GET", f"/{NOWHERE}/recipe", None), ("GET", f"/dependents?address={NOWHERE}", None),
                                   ("POST", "/leaves", b"x"), ("POST", "/collect", {}), ("POST", f"/{NOWHERE}/pin", None)):
            answer = request(server.port, method, DERIVE + what, body)
            assert (answer.status, answer.code) == (503, "derive_off") and "derive_dir" in answer.json["error"]["message"], answer.body
        bind(server.port, "name", NOWHERE)
        metrics = request(server.port, "GET", "/metrics").body.decode()
        assert "mic_log_errors_total 1\n" in metrics, metrics
        assert f"error derives_nothing derive_dir={there}" in server.log_text()


def test_functions_say_what_they_do(directory):
    with Server("mic-forge", directory) as server:
        user = User(server, directory)
        user.ok("project", "create", "demo")
        functions = request(server.port, "GET", f"{DERIVE}/functions").json["functions"]
        said = user.ok("derive", "functions", "-p", "demo")
        for function in functions:
            assert function["about"].endswith(".") and f"\n    {function['about']}\n" in said, function
            assert all(f"`{parameter['name']}`" in function["about"] for parameter in function["parameters"]), function
            assert len(function["inputs"]) == function["inputs_least"], function
        for line in ("concat 1.0.0 bytes…", "tree.diff 1.0.0 tree tree [format=…]", "repeat 1.0.0 bytes count=…"):
            assert f"{line}\n" in said, said


def test_questions_about_all_know_what_any_server_acknowledged(directory):
    with Server("mic-api", directory) as one, Server("mic-api", directory) as two:
        project(one)

        def ask(server, address):
            dependents = request(server.port, "GET", f"{DERIVE}/dependents?address={address}").json
            wish = {"address": address, "cascade": True, "dry_run": True}
            assert dependents["count"] == request(server.port, "POST", f"{DERIVE}/invalidate", wish).json["count"]
            return dependents["addresses"], request(server.port, "GET", f"{DERIVE}/pins").json["addresses"]

        address = leaf(one.port, b"of one")
        assert ask(one, address) == ask(two, address) == ([], [])
        over = recipe(one.port, "identity", address)
        assert request(one.port, "POST", f"{DERIVE}/{over}/pin").status == 200
        assert ask(two, address) == ([over], [over])
        assert request(two.port, "POST", f"{DERIVE}/{over}/unpin").status == 200
        assert ask(one, address) == ([over], [])


def test_answers_that_nobody_reads_are_counted(directory):
    """A lineage may be long: who asks for many and reads none is refused before the memory is gone."""
    with Server("mic-forge", directory) as server:
        project(server)
        address = leaf(server.port, b"x")
        made = []
        for k in range(4):  # more than lies in the buffers of a connection
            recipes = [{"function": "repeat", "inputs": [address], "parameters": {"count": f"{k}{i:04}"}} for i in range(10000)]
            made += request(server.port, "POST", f"{DERIVE}/recipes", {"recipes": recipes}).json["addresses"]
        top = recipe(server.port, "concat", *made)
        sockets, statuses = [], []
        try:
            while len(sockets) < 400 and b"503" not in statuses:
                one = socket.create_connection(("127.0.0.1", server.port))
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.sendall(f"GET /api/mic{DERIVE}/{top}/lineage?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                statuses.append(one.recv(12).split()[1])
            assert statuses[0] == b"200" and statuses[-1] == b"503", (len(statuses), statuses[-1])
        finally:
            for one in sockets:
                one.close()
        wait_until(lambda: request(server.port, "GET", f"{DERIVE}/{top}/lineage?limit=100000").status == 200)


if __name__ == "__main__":
    forge.main([test_a_range_with_a_condition, test_a_part_is_named_by_what_it_is_a_part_of, test_ranges_while_a_name_moves,
                test_what_is_missing_is_named, test_the_command_says_what_is_wrong, test_the_command_prints_all_pages_as_one,
                test_a_bind_says_what_it_affects, test_a_directory_that_cannot_be_used,
                test_functions_say_what_they_do,
                test_questions_about_all_know_what_any_server_acknowledged,
                test_answers_that_nobody_reads_are_counted])

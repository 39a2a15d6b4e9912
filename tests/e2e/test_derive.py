#!/usr/bin/env python3
"""Derivation over the wire and by `mic derive`: leaves, recipes, results, references, trees, faults, restarts, several
servers on one bucket."""

import gzip
import hashlib
import http.client
import io
import json
import os
import random
import re
import socket
import subprocess
import tarfile
import threading

import forge
from forge import Server, write
from openapi import land, request
from test_cli import FAILED, USAGE, User

DERIVE = "/projects/demo/derive"
NOWHERE = "0" * 63 + "1"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def project(server, handle="demo"):
    answer = request(server.port, "POST", "/projects", {"handle": handle})
    assert answer.status == 201, answer.body


def leaf(port, data):
    answer = request(port, "POST", f"{DERIVE}/leaves", data)
    assert answer.status == 201 and answer.json["address"] == sha256(data), answer.body
    assert answer.json["size"] == len(data)
    return answer.json["address"]


def recipe(port, function, *inputs, **parameters):
    answer = request(port, "POST", f"{DERIVE}/recipes",
                     {"function": function, "inputs": list(inputs), "parameters": parameters})
    assert answer.status == 201, answer.body
    return answer.json["address"]


def get(port, address, **headers):
    return request(port, "GET", f"{DERIVE}/{address}", headers=headers)


def result(port, address):
    answer = get(port, address)
    assert answer.status == 200, answer.body
    return answer.body


def status(port):
    answer = request(port, "GET", f"{DERIVE}/status")
    assert answer.status == 200, answer.body
    return answer.json


# ---- results ----------------------------------------------------------------------------------


def test_a_result_is_computed_when_it_is_asked_for(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"hello world")
        upper = recipe(port, "uppercase", words)
        twice = recipe(port, "repeat", upper, count="2")
        assert recipe(port, "uppercase", words) == upper, "the same recipe has the same address"
        assert status(port)["runs"]["runs"] == 0
        answer = get(port, twice)
        assert answer.status == 200 and answer.body == b"HELLO WORLDHELLO WORLD", answer.body
        assert answer.headers["ETag"] == f'"{sha256(answer.body)}"' and "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Mic-Ran"] == "yes"
        again = get(port, twice)
        assert again.body == answer.body and again.headers["Mic-Ran"] == "no"
        assert get(port, twice, **{"If-None-Match": answer.headers["ETag"]}).status == 304
        part = get(port, twice, Range="bytes=6-10")
        assert part.status == 206 and part.body == b"WORLD", (part.status, part.body)
        assert get(port, twice, Range="bytes=100-").status == 416
        assert result(port, words) == b"hello world"
        now = status(port)
        assert now["recipes"] == 2 and now["leaves"] == 1 and now["runs"]["runs"] == 2, now
        answer = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [
            {"function": "length", "inputs": [twice]}, {"function": "sha256", "inputs": [twice]}]})
        assert answer.status == 201 and len(answer.json["addresses"]) == 2, answer.body
        assert result(port, answer.json["addresses"][1]) == sha256(b"HELLO WORLD" * 2).encode()


def test_large_leaves_and_results(directory):
    data = random.Random(1).randbytes(5 << 20)
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        big = leaf(port, data)
        assert result(port, big) == data
        packed = recipe(port, "gzip.compress", big)
        assert gzip.decompress(result(port, packed)) == data
        piece = recipe(port, "slice", recipe(port, "concat", big, big), start=str(len(data) - 3), end=str(len(data) + 3))
        assert result(port, piece) == data[-3:] + data[:3]
        whole = recipe(port, "reverse", big)
        part = get(port, whole, Range="bytes=0-9")
        assert part.status == 206 and part.body == data[::-1][:10]
        assert result(port, whole) == data[::-1]
        # A long result lies in chunks, each with an address of its own.
        for at in range(0, len(data), 1 << 20):
            chunk = data[::-1][at:at + (1 << 20)]
            assert result(port, sha256(chunk)) == chunk


def test_chunks_can_be_got(directory):
    data = random.Random(3).randbytes(3 << 20) + b"rest"
    turned = data[::-1]
    with Server("mic-forge", directory) as server, Server("mic-api", directory) as other:
        project(server)
        port = server.port
        whole = recipe(port, "reverse", leaf(port, data))
        answer = request(port, "GET", f"{DERIVE}/{whole}/chunks")
        assert answer.status == 200 and answer.json["output"] == sha256(turned), answer.body
        assert answer.json["size"] == len(data) and answer.json["lasts"] and "next" not in answer.json, answer.body
        chunks = answer.json["chunks"]
        assert [c["offset"] for c in chunks] == [i << 20 for i in range(4)] and chunks[3]["size"] == 4, chunks
        assert all(c["address"] == sha256(turned[c["offset"]:c["offset"] + c["size"]]) for c in chunks), chunks
        page = request(port, "GET", f"{DERIVE}/{whole}/chunks?limit=3").json
        rest = request(port, "GET", f"{DERIVE}/{whole}/chunks?limit=3&after={page['next']}").json
        assert page["chunks"] + rest["chunks"] == chunks and "next" not in rest, (page, rest)
        # On another server, which has never computed it; and here, when the result is gone.
        for chunk in chunks[1:]:
            assert result(other.port, chunk["address"]) == turned[chunk["offset"]:chunk["offset"] + chunk["size"]]
        part = get(other.port, chunks[0]["address"], Range="bytes=5-9")
        assert part.status == 206 and part.body == turned[5:10], part.body
        request(port, "POST", f"{DERIVE}/invalidate", {"address": whole})
        answer = get(port, chunks[2]["address"])
        assert answer.body == turned[2 << 20:3 << 20] and answer.headers["Mic-Ran"] == "yes"
        assert answer.headers["ETag"] == f'"{chunks[2]["address"]}"' and "immutable" in answer.headers["Cache-Control"]
        node = request(port, "GET", f"{DERIVE}/{chunks[2]['address']}/recipe").json
        assert node["function"] == "slice" and node["inputs"] == [whole], node
        # A result in one piece is its own; a leaf, too.
        short = recipe(port, "uppercase", leaf(port, b"short"))
        one = request(port, "GET", f"{DERIVE}/{short}/chunks").json
        assert one["chunks"] == [{"offset": 0, "size": 5, "address": sha256(b"SHORT")}], one
        assert result(other.port, sha256(b"SHORT")) == b"SHORT"
        assert request(port, "GET", f"{DERIVE}/{sha256(b'short')}/chunks").json["chunks"][0]["address"] == sha256(b"short")
        # What uses a reference is not the same for ever.
        assert request(port, "PUT", "/projects/demo/refs/name", {"address": short}).status == 200
        by_name = recipe(port, "repeat", {"ref": "name"}, count="2")
        assert request(port, "GET", f"{DERIVE}/{by_name}/chunks").json["lasts"] is False
        assert get(port, f"{NOWHERE}/chunks").status == 404


def events(port, address):
    """The events of a result, as they come: name and data."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", f"/api/mic{DERIVE}/{address}/progress")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream", answer.headers
    for event in answer.read().decode().split("\n\n")[:-1]:
        name, data = event.split("\n")
        assert name.startswith("event: ") and data.startswith("data: "), event
        yield name[7:], json.loads(data[6:])
    connection.close()


def slow(port, seed, count=6):
    """A recipe that takes a second or a few."""
    noise = leaf(port, random.Random(seed).randbytes(4 << 20))
    return recipe(port, "gzip.compress", recipe(port, "repeat", noise, count=str(count)), level="9")


def test_progress_is_told(directory):
    with Server("mic-forge", os.path.join(directory, "bucket")) as server:
        project(server)
        port = server.port
        whole = slow(port, 5)
        told = list(events(port, whole))
        names = [name for name, _ in told]
        assert names[-1] == "done" and set(names[:-1]) == {"progress"}, names
        assert all(data["nodes"] == 3 and data["elapsed_ms"] > 0 for _, data in told[:-1]), told
        assert any(data["running"] == 1 and data["address"] == whole for _, data in told[:-1]), told
        assert told[-1][1]["ran"] is True
        body = result(port, whole)
        assert told[-1][1]["output"] == sha256(body) and told[-1][1]["size"] == len(body)
        # What is there is told at once; so is what fails.
        assert list(events(port, whole)) == [("done", {"output": sha256(body), "size": len(body), "ran": False})]
        bad = recipe(port, "json.canonicalize", leaf(port, b"{"))
        (name, data), = events(port, bad)
        assert name == "failed" and data["status"] == 422 and data["error"]["code"] == "input_invalid" and \
            data["error"]["field"] == bad, data
        (name, data), = events(port, NOWHERE)
        assert name == "failed" and data["status"] == 404 and data["error"]["code"] == "not_found", data
        assert request(port, "HEAD", f"{DERIVE}/{whole}/progress").status == 200
        assert get(port, "xyz/progress").status == 404
        # The command shows it, and gives the result when it is there.
        user = User(server, directory)
        again = slow(port, 7, 12)
        done = user.run("derive", "get", again, "-p", "demo", "-o", "out")
        assert done.returncode == 0 and "mic: computing for " in done.err and " of 3 known" in done.err, done.err
        with open(user.path("out"), "rb") as file:
            assert sha256(file.read()) == request(port, "GET", f"{DERIVE}/{again}/chunks").json["output"]
        # On a terminal one line, which is gone when the result is there.
        ours, theirs = os.openpty()
        seen = subprocess.run([forge.program("mic"), "derive", "get", slow(port, 10, 12), "-p", "demo", "-o", "out"],
                              cwd=user.directory, env=user.env, stderr=theirs, timeout=300, check=False)
        assert seen.returncode == 0, seen
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        os.close(theirs)
        assert shown.count("\r\x1b[Kcomputing for ") > 1 and shown.endswith("\r\x1b[K") and "\n" not in shown, shown
        quiet = user.run("derive", "get", slow(port, 8), "-p", "demo", "-o", "out", "--json")
        assert quiet.returncode == 0 and quiet.err == "", quiet.err
        # Who leaves harms nobody, and the server ends although somebody listens.
        left = socket.create_connection(("127.0.0.1", port))
        left.sendall(f"GET /api/mic{DERIVE}/{slow(port, 6)}/progress HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert left.recv(12) == b"HTTP/1.1 200"
        left.close()
        listens = socket.create_connection(("127.0.0.1", port))
        listens.sendall(f"GET /api/mic{DERIVE}/{slow(port, 9)}/progress HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert listens.recv(12) == b"HTTP/1.1 200"


def test_faults_have_names_of_their_own(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        answer = get(port, NOWHERE)
        assert answer.status == 404 and answer.code == "not_found", answer.body
        assert get(port, "xyz").status == 404
        answer = request(port, "POST", f"{DERIVE}/recipes", {"function": "nothing", "inputs": []})
        assert answer.status == 422 and answer.code == "unknown_function", answer.body
        answer = request(port, "POST", f"{DERIVE}/recipes", {"function": "repeat", "inputs": [NOWHERE]})
        assert answer.status == 422 and answer.code == "parameter_invalid" and \
            answer.json["error"]["field"] == "count", answer.body
        lost = recipe(port, "uppercase", NOWHERE)
        above = recipe(port, "reverse", lost)
        answer = get(port, above)
        assert answer.code == "input_missing" and answer.json["error"]["field"] == lost, answer.body
        assert NOWHERE in answer.json["error"]["message"] and answer.status == 404, answer.body
        bad = recipe(port, "json.canonicalize", leaf(port, b"{"))
        answer = get(port, recipe(port, "length", bad))
        assert answer.status == 422 and answer.code == "input_invalid" and answer.json["error"]["field"] == bad, answer.body
        unbound = recipe(port, "length", {"ref": "nobody"})
        answer = get(port, unbound)
        assert answer.code == "ref_missing" and "nobody" in answer.json["error"]["message"], answer.body
        for body in ({"function": "length", "inputs": [1]}, {"function": "length", "inputs": ["x"]}, {"function": 1}, {},
                     {"function": "length", "parameters": {"a": 1}}, {"function": "length", "more": 1}, {"recipes": []}):
            answer = request(port, "POST", f"{DERIVE}/recipes", body)
            assert answer.status in (400, 422), (body, answer.status, answer.body)
        assert get(port, lost + "?verify=perhaps").status == 400


# ---- references and trees ---------------------------------------------------------------------


def test_references_are_inputs(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        one, two = leaf(port, b"one"), leaf(port, b"two")
        upper = recipe(port, "uppercase", {"ref": "release/input"})
        above = recipe(port, "concat", upper, upper)
        assert request(port, "PUT", "/projects/demo/refs/release/input", {"address": one}).status == 200
        answer = get(port, above)
        assert answer.body == b"ONEONE" and "immutable" not in answer.headers["Cache-Control"], answer.body
        assert answer.headers["Mic-Refs-Position"] == "1"
        runs = status(port)["runs"]["runs"]
        entries = status(port)["cache"]["entries"]
        answer = request(port, "PUT", "/projects/demo/refs/release/input", {"address": two})
        assert answer.status == 200 and answer.json["affected"] == 2 and answer.json["depth"] == 2, answer.body
        forge.wait_until(lambda: status(port)["cache"]["entries"] == entries - 2)
        assert result(port, above) == b"TWOTWO"
        assert status(port)["runs"]["runs"] == runs + 2
        # Bound to what it is bound to already, nothing is freed.
        assert request(port, "PUT", "/projects/demo/refs/release/input", {"address": two}).status == 200
        assert get(port, above).headers["Mic-Ran"] == "no"
        assert request(port, "PUT", "/projects/demo/refs/release/input", {"address": one}).status == 200
        assert result(port, above) == b"ONEONE"
        answer = request(port, "GET", f"{DERIVE}/dependents?ref=release%2Finput")
        assert answer.json["addresses"] == [upper] and answer.json["count"] == 2 and answer.json["depth"] == 2, answer.body
        # Early cut-off: another input with the same content runs nothing above it.
        forge.wait_until(lambda: status(port)["cache"]["entries"] == entries)
        same = recipe(port, "lowercase", leaf(port, b"ONE"))
        runs = status(port)["runs"]["runs"]
        assert request(port, "PUT", "/projects/demo/refs/release/input", {"address": same}).status == 200
        assert result(port, above) == b"ONEONE"
        assert status(port)["runs"]["runs"] == runs + 1


def test_trees_are_inputs(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        answer = land(port, "demo", [write("src/a.c", "int a;\n"), write("src/b.c", "int b;\n"), write("README", "x\n")])
        assert answer.status == 200, answer.body
        archive = recipe(port, "tree.archive", {"ref": "head", "path": "src"})
        first = result(port, archive)
        assert sorted(tarfile.open(fileobj=io.BytesIO(first)).getnames()) == ["a.c", "b.c"]
        # What lies beside it changes nothing, and runs nothing.
        runs = status(port)["runs"]["runs"]
        assert land(port, "demo", [write("README", "y\n")]).status == 200
        assert result(port, archive) == first and status(port)["runs"]["runs"] == runs
        tree = request(port, "GET", "/projects/demo/head").json["content"]
        answer = get(port, tree)
        assert answer.status == 422 and answer.code == "is_tree", (answer.status, answer.body)
        # A directory is found by the content hash that a client was shown.
        answer = request(port, "GET", "/projects/demo/refs/head?path=src")
        source = answer.json["address"]
        assert land(port, "demo", [write("src/c.c", "int c;\n")]).status == 200
        assert result(port, recipe(port, "tree.archive", source)) == first
        assert request(port, "PUT", "/projects/demo/refs/release/src", {"address": source}).status == 200
        assert result(port, recipe(port, "tree.archive", {"ref": "release/src"})) == first
        assert result(port, recipe(port, "length", {"ref": "release/src", "path": "a.c"})) == b"7"
        text = recipe(port, "uppercase", {"ref": "head", "path": "README"})
        assert result(port, text) == b"Y\n"
        # A file that has landed is a leaf.
        assert result(port, recipe(port, "length", sha256(b"int a;\n"))) == b"7"


# ---- what hangs together ----------------------------------------------------------------------


def test_lineage_and_invalidation(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"b\na\n")
        lines = recipe(port, "lines.sort", words)
        tops = [recipe(port, "slice", lines, start="0", end=str(i)) for i in range(5)]
        last = recipe(port, "concat", *tops)
        assert result(port, last) == b"".join(b"a\nb\n"[:i] for i in range(5))
        answer = request(port, "GET", f"{DERIVE}/{last}/recipe")
        assert answer.json["function"] == "concat" and answer.json["inputs"] == tops, answer.body
        assert request(port, "GET", f"{DERIVE}/{words}/recipe").json["kind"] == "leaf"
        nodes = request(port, "GET", f"{DERIVE}/{last}/lineage").json["nodes"]
        assert {n["address"] for n in nodes} == {last, lines, words, *tops} and nodes[0]["address"] == last
        dot = request(port, "GET", f"{DERIVE}/{last}/lineage?format=dot")
        assert dot.status == 200 and f'"{words}" -> "{lines}"' in dot.body.decode(), dot.body
        answer = request(port, "GET", f"{DERIVE}/dependents?address={lines}&limit=2").json
        seen = answer["addresses"]
        while "next" in answer:
            answer = request(port, "GET", f"{DERIVE}/dependents?address={lines}&limit=2&after={answer['next']}").json
            seen += answer["addresses"]
        assert sorted(seen) == sorted(tops)
        dry = request(port, "POST", f"{DERIVE}/invalidate", {"address": lines, "cascade": True, "dry_run": True}).json
        done = request(port, "POST", f"{DERIVE}/invalidate", {"address": lines, "cascade": True}).json
        assert dry["count"] == done["count"] == 6 and done["depth"] == 2 and done["was_cached"], (dry, done)
        assert done["freed"] > 0 and dry["freed"] == done["freed"], (dry, done)
        runs = status(port)["runs"]["runs"]
        assert result(port, last) == b"".join(b"a\nb\n"[:i] for i in range(5))
        assert status(port)["runs"]["runs"] > runs, "it was computed again"


def test_pins_and_verification(directory):
    with Server("mic-forge", directory, "--derive-verify", "sampled:1") as server:
        project(server)
        port = server.port
        upper = recipe(port, "uppercase", leaf(port, b"abc"))
        assert request(port, "POST", f"{DERIVE}/{upper}/pin").json == {"was_pinned": False}
        assert request(port, "POST", f"{DERIVE}/{upper}/pin").json == {"was_pinned": True}
        assert request(port, "GET", f"{DERIVE}/pins").json == {"addresses": [upper]}
        assert result(port, upper) == b"ABC"
        now = status(port)["verification"]
        assert now["mode"].startswith("sampled:1") and now["total"] == 1 and now["passed"] == 1, now
        answer = request(port, "POST", f"{DERIVE}/{upper}/verify").json
        assert answer["deterministic"] and answer["output"] == sha256(b"ABC"), answer
    with Server("mic-forge", directory) as server:
        port = server.port
        assert request(port, "GET", f"{DERIVE}/pins").json == {"addresses": [upper]}
        assert request(port, "POST", f"{DERIVE}/{upper}/unpin").json == {"was_pinned": True}
        assert request(port, "GET", f"{DERIVE}/pins").json == {"addresses": []}


def test_a_pinned_result_is_not_evicted(directory):
    size = 100 << 10
    with Server("mic-forge", directory, "--derive-ram-bytes", "1MiB", "--derive-disk-bytes", "1MiB") as server:
        project(server)
        port = server.port
        made = [recipe(port, "reverse", leaf(port, random.Random(i).randbytes(size))) for i in range(60)]
        pinned, other = made[0], made[1]
        assert request(port, "POST", f"{DERIVE}/{pinned}/pin").status == 200
        for address in made:
            assert get(port, address).status == 200
        assert get(port, pinned).headers["Mic-Ran"] == "no"
        ran = [get(port, address).headers["Mic-Ran"] for address in made[1:]]
        assert "yes" in ran, "the others did not all have room"
        assert get(port, other).status == 200
        # Collecting takes the others, and says so before it does.
        there = status(port)["cache"]["entries"]
        assert request(port, "POST", f"{DERIVE}/collect", {}).json["results"] == 0, "all were used within the hour"
        dry = request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0, "dry_run": True}).json
        assert dry["results"] == there - 1 and dry["kept"] == 1 and status(port)["cache"]["entries"] == there, dry
        some = request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0, "max": 2}).json
        assert some["results"] == 2 and some["more"] and some["kept"] == there - 2, some
        assert request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0}).json["bytes"] == (there - 3) * size
        assert status(port)["cache"]["entries"] == 1 and get(port, pinned).headers["Mic-Ran"] == "no"
    with Server("mic-forge", directory, "--derive-ram-bytes", "1MiB", "--derive-disk-bytes", "1MiB") as server:
        assert get(server.port, pinned).headers["Mic-Ran"] == "no", "it was kept over a restart"


# ---- what lasts -------------------------------------------------------------------------------


def test_what_was_answered_survives_a_kill(directory):
    server = Server("mic-forge", directory)
    project(server)
    port = server.port
    made = []
    for i in range(30):
        made.append((recipe(port, "uppercase", leaf(port, b"word %d" % i)), b"WORD %d" % i))
    results = [result(port, address) for address, _ in made[:10]]
    server.kill()
    assert results == [text for _, text in made[:10]]
    for damage in (False, True):
        if damage:
            for where, _, names in os.walk(os.path.join(directory, ".micelio", "derive")):
                for name in names:
                    with open(os.path.join(where, name), "wb") as file:
                        file.write(b"garbage")
        server = Server("mic-forge", directory)
        port = server.port
        for address, text in made:
            assert result(port, address) == text
        now = status(port)
        assert now["recipes"] == 30 and now["leaves"] == 30, now
        server.kill()


def test_what_one_server_acknowledged_another_finds(directory):
    with Server("mic-forge", directory) as forge_server, Server("mic-api", directory) as one:
        project(forge_server)
        words = leaf(one.port, b"from one")
        upper = recipe(one.port, "uppercase", words)
        one.kill()
        assert result(forge_server.port, upper) == b"FROM ONE"
        with Server("mic-api", directory) as two:
            assert result(two.port, upper) == b"FROM ONE"
            lower = recipe(two.port, "lowercase", upper)
            assert result(forge_server.port, lower) == b"from one"


def test_many_ask_at_once(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        data = random.Random(2).randbytes(2 << 20)
        packed = recipe(port, "zstd.compress", leaf(port, data))
        length = recipe(port, "length", recipe(port, "zstd.decompress", packed))
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(result(port, length))) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [b"%d" % len(data)] * 32, answers[:3]
        assert status(port)["runs"]["runs"] <= 3, status(port)


# ---- the log ----------------------------------------------------------------------------------


def lines(server, event):
    """The log's lines of an event, each as its fields."""
    found = [line.split(" ") for line in server.log_text().splitlines()]
    return [dict(field.split("=", 1) for field in line[3:]) for line in found if len(line) > 3 and line[2] == event]


def test_the_log_names_addresses(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        pid = request(port, "GET", "/projects/demo").json["id"]
        words = leaf(port, b"words" * 20000)
        packed = recipe(port, "reverse", recipe(port, "gzip.compress", words, level="9"))
        big = recipe(port, "gzip.decompress", recipe(port, "gzip.compress", words, level="9"))
        bad = recipe(port, "json.canonicalize", words)
        body = result(port, packed)
        assert lines(server, "derived")[0].items() >= {
            "project": pid, "address": packed, "output": sha256(body), "size": str(len(body))}.items()
        result(port, packed)
        assert len(lines(server, "derived")) == 1, "nothing ran"
        assert get(port, bad).status == 422
        assert lines(server, "derive_failed") == [{"project": pid, "address": bad, "fault": "input_invalid", "about": bad}]
        pin = {"project": pid, "address": packed}
        request(port, "POST", f"{DERIVE}/{packed}/pin")
        assert lines(server, "derive_pinned") == [pin]
        request(port, "POST", f"{DERIVE}/{packed}/unpin")
        assert lines(server, "derive_unpinned") == [pin]
        for address, event in ((packed, "ref_bound"), (big, "ref_rebound")):
            assert request(port, "PUT", "/projects/demo/refs/name", {"address": address}).status == 200
            assert lines(server, event)[0].items() >= {"project": pid, "ref": "name", "address": address}.items()
        assert request(port, "DELETE", "/projects/demo/refs/name").status == 200
        assert lines(server, "ref_deleted")[0].items() >= {"project": pid, "ref": "name"}.items()
        request(port, "POST", f"{DERIVE}/invalidate", {"address": packed, "dry_run": True})
        assert not lines(server, "derive_invalidated")
        request(port, "POST", f"{DERIVE}/invalidate", {"address": packed})
        assert lines(server, "derive_invalidated")[0].items() >= {"project": pid, "address": packed}.items()
        gone = request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0}).json
        assert gone["results"] > 0 and lines(server, "derive_collected") == [
            {"project": pid, "results": str(gone["results"]), "bytes": str(gone["bytes"])}]
        output = sha256(result(port, big))
        request(port, "POST", f"{DERIVE}/{big}/pin")  # so that it has a file
    damaged = 0
    for where, _, names in os.walk(os.path.join(directory, ".micelio", "derive")):
        for name in names:
            path = os.path.join(where, name)
            if os.path.getsize(path) == 100000:
                with open(path, "r+b") as file:
                    file.write(b"damage")
                damaged += 1
    assert damaged == 1
    with Server("mic-forge", directory) as server:
        assert sha256(result(server.port, big)) == output
        assert lines(server, "derive_result_damaged") == [{"project": pid, "address": output}]


# ---- the command ------------------------------------------------------------------------------


def test_the_command(directory):
    with Server("mic-forge", os.path.join(directory, "bucket")) as server:
        user = User(server, directory)
        user.ok("project", "create", "demo")
        with open(user.path("words"), "w", encoding="utf-8") as file:
            file.write("hello\n")
        p = ("-p", "demo")
        words = user.ok("derive", "leaf", "words", *p).strip()
        assert words == sha256(b"hello\n")
        upper = user.ok("derive", "recipe", "uppercase", words, *p).strip()
        many = user.ok("derive", "recipe", "repeat@1.0.0", upper, "--param", "count=3", *p).strip()
        assert user.ok("derive", "get", many, *p) == "HELLO\n" * 3
        assert user.ok("derive", "get", many, "--range", "1-3", *p) == "ELL"
        user.ok("derive", "get", many, "-o", "out", *p)
        with open(user.path("out"), encoding="utf-8") as file:
            assert file.read() == "HELLO\n" * 3
        text = user.ok("derive", "show", many, *p)
        assert "recipe repeat 1.0.0" in text and f"input {upper}" in text and "param count=3" in text, text
        assert user.json("derive", "show", many, *p)["parameters"] == {"count": "3"}
        assert user.ok("derive", "lineage", many, *p).count("\n") == 3
        assert user.ok("derive", "lineage", many, "--dot", *p).startswith("digraph")
        assert user.ok("derive", "dependents", words, *p).split() == [upper]
        hellos = sha256(b"HELLO\n" * 3)
        assert user.ok("derive", "chunks", many, *p) == f"0 18 {hellos}\n"
        assert "deterministic" in user.ok("derive", "verify", many, *p)
        user.ok("derive", "pin", many, *p)
        assert user.ok("derive", "pins", *p).split() == [many]
        user.ok("derive", "unpin", many, *p)
        assert "1 dependent, 1 deep" in user.ok("derive", "invalidate", upper, "--cascade", *p)
        said = user.ok("derive", "status", *p)
        assert "2 recipes" in said and re.search(r"hit rate [0-9]+% of [0-9]+,", said) and "1 verified, 1 passed, 0 failed" in said, said
        assert "would go" in user.ok("derive", "collect", "--unused", "0", "--dry-run", *p)
        assert "gone" in user.ok("derive", "collect", "--unused", "0", *p)
        assert "uppercase 1.0.0" in user.ok("derive", "functions", *p)
        assert user.ok("derive", "get", many, *p) == "HELLO\n" * 3
        assert user.fails(FAILED, "derive", "get", NOWHERE, *p) == \
            f"mic: {NOWHERE} is not a leaf, a recipe or a tree of this project (not_found)\n"
        user.fails(USAGE, "derive", "get", "xyz", *p)
        user.fails(USAGE, "derive", "recipe", "repeat", upper, "--param", "count", *p)
        assert user.fails(FAILED, "derive", "recipe", "repeat", upper, *p) == \
            "mic: repeat needs this parameter [count] (parameter_invalid)\n"
        user.fails(FAILED, "derive", "leaf", "nothing-here", *p)


if __name__ == "__main__":
    forge.main([test_a_result_is_computed_when_it_is_asked_for, test_large_leaves_and_results, test_chunks_can_be_got, test_progress_is_told,
                test_faults_have_names_of_their_own, test_references_are_inputs, test_trees_are_inputs,
                test_lineage_and_invalidation, test_pins_and_verification, test_a_pinned_result_is_not_evicted,
                test_what_was_answered_survives_a_kill,
                test_what_one_server_acknowledged_another_finds, test_many_ask_at_once, test_the_log_names_addresses,
                test_the_command])

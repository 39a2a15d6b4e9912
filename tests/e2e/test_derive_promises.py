#!/usr/bin/env python3
"""What the README says one may rely on of derived data, sentence by sentence: each has its test, and one more sees to it that
none is without."""

import os
import random
import re
import threading

import forge
from forge import Server
from openapi import land, request
from test_derive import DERIVE, get, leaf, project, recipe, result, sha256, status, test_chunks_can_be_got, test_the_command
from test_derive_more import test_a_function_that_gave_two_results_is_quarantined, test_a_get_reads_its_references_once
from test_derive_more import text_of

REFS = "/projects/demo/refs"


def bind(port, name, address, **more):
    return request(port, "PUT", f"{REFS}/{name}", {"address": address, **more})


def at_once(*works):
    """What each of them gives, all begun together."""
    gate, answers = threading.Barrier(len(works)), [None] * len(works)

    def run(i):
        gate.wait()
        answers[i] = works[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# ---- leaves and recipes -----------------------------------------------------------------------


def test_what_was_answered_is_durable(directory):
    for round in range(3):
        server = Server("mic-forge", directory)
        if round == 0:
            project(server)
        datas = [random.Random(f"{round} {size}").randbytes(size) for size in (0, 1, 70, 64 << 10, (64 << 10) + 1, 3 << 20)]
        leaves = [leaf(server.port, data) for data in datas]
        made = recipe(server.port, "sha256", recipe(server.port, "concat", *leaves))
        server.kill()
        # Nothing but the bucket is left.
        os.rename(os.path.join(directory, ".micelio", "derive"), os.path.join(directory, ".micelio", f"gone-{round}"))
        with Server("mic-forge", directory) as server:
            for address, data in zip(leaves, datas):
                assert result(server.port, address) == data
            assert result(server.port, made) == sha256(b"".join(datas)).encode()


def test_every_server_finds_it_from_then_on(directory):
    with Server("mic-forge", directory) as one, Server("mic-api", directory) as two:
        project(one)
        for i in range(20):
            # Asked for at once, by who has asked in vain a moment ago.
            assert get(two.port, sha256(b"word %d" % i)).status == 404
            words = leaf(one.port, b"word %d" % i)
            assert result(two.port, words) == b"word %d" % i
            made = recipe(one.port, "repeat", words, count="2")
            assert result(two.port, made) == b"word %d" % i * 2
            assert request(two.port, "GET", f"{DERIVE}/dependents?address={words}").json["addresses"] == [made]
        for i in range(5):
            with Server("mic-api", directory) as three:
                words = leaf(three.port, b"last words %d" % i)
                made = recipe(three.port, "uppercase", words)
                three.kill()
            assert result(one.port, made) == result(two.port, made) == b"LAST WORDS %d" % i


# ---- references -------------------------------------------------------------------------------


def test_a_bind_is_decided_by_compare_and_set(directory):
    with Server("mic-forge", directory) as one, Server("mic-api", directory) as two:
        project(one)
        at = None
        for round in range(5):
            wanted = [sha256(b"%d %d" % (round, i)) for i in range(6)]
            answers = at_once(*[lambda i=i: bind((one, two)[i % 2].port, "x", wanted[i], expected=at) for i in range(6)])
            assert sorted(a.status for a in answers) == [200] + [409] * 5, [(a.status, a.body) for a in answers]
            assert {a.code for a in answers if a.status == 409} == {"ref_conflict"}
            at = next(w for w, a in zip(wanted, answers) if a.status == 200)
            assert request(two.port, "GET", f"{REFS}/x").json["address"] == at
        # Apart from the project's own tree.
        assert request(one.port, "GET", "/projects/demo/head").json["position"] == 0
        assert bind(one.port, "x", sha256(b"last")).status == 200
        one.kill()
        with Server("mic-forge", directory) as three:
            assert request(three.port, "GET", f"{REFS}/x").json["address"] == sha256(b"last")


def test_a_bind_has_its_place_in_a_history_and_closes_no_cycle(directory):
    with Server("mic-forge", directory) as one, Server("mic-api", directory) as two:
        project(one)
        words = [leaf(one.port, b"%d" % i) for i in range(3)]
        for address in words:
            assert bind(one.port, "x", address).status == 200
        assert request(one.port, "DELETE", f"{REFS}/x").status == 200
        entries = request(one.port, "GET", f"{REFS}/x/log").json["entries"]
        assert [(e["position"], e["address"]) for e in entries] == [(4, None), (3, words[2]), (2, words[1]), (1, words[0])], entries
        for round in range(5):
            a, b = f"a{round}", f"b{round}"
            over_a, over_b = recipe(one.port, "reverse", {"ref": a}), recipe(one.port, "reverse", {"ref": b})
            answers = at_once(lambda: bind(one.port, a, over_b), lambda: bind(two.port, b, over_a))
            assert sorted(answer.status for answer in answers) == [200, 409], [answer.body for answer in answers]
            refused = next(answer for answer in answers if answer.status == 409)
            assert refused.code == "ref_cycle", refused.body
            # The one that was bound leads nowhere, and not round and round.
            answer = get(one.port, over_a)
            assert answer.status == 404 and answer.code == "ref_missing", answer.body


def test_a_result_reads_its_references_as_of_one_moment(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        values = [b"%04d" % i for i in range(40)]
        leaves = [leaf(port, v) for v in values]
        twice = recipe(port, "concat", recipe(port, "reverse", {"ref": "x"}), {"ref": "x"}, recipe(port, "identity", {"ref": "x"}),
                       {"ref": "head", "path": "f"}, recipe(port, "identity", {"ref": "head", "path": "f"}))
        assert bind(port, "x", leaves[0]).status == 200 and land(port, "demo", [forge.write("f", "0000")]).status == 200

        def change():
            for i in range(1, len(values)):
                assert bind(port, "x", leaves[i]).json["position"] == i + 1
                assert land(port, "demo", [forge.write("f", "%04d" % i)]).json["results"][0]["position"] == i + 1

        changer = threading.Thread(target=change)
        changer.start()
        seen = set()
        while changer.is_alive():
            answer = get(port, twice)
            ref, head = int(answer.headers["Mic-Refs-Position"]) - 1, int(answer.headers["Mic-Position"]) - 1
            assert answer.body == values[ref][::-1] + values[ref] * 2 + values[head] * 2, (answer.body, ref, head)
            seen.add((ref, head))
        changer.join()
        assert len(seen) > 1, "nothing changed meanwhile"


# ---- results ----------------------------------------------------------------------------------


def everything(port):
    """Addresses of results by all kinds of functions."""
    data = text_of(300 << 10)
    base, other = leaf(port, data), leaf(port, data.upper())
    lines = leaf(port, data.replace(b" ", b"\n"))
    return [recipe(port, "zstd.compress", base), recipe(port, "gzip.compress", base, level="9"),
            recipe(port, "base64.encode", other), recipe(port, "xxh3", base), recipe(port, "text.diff", lines, other),
            recipe(port, "lines.sort", lines), recipe(port, "lines.uniq", recipe(port, "lines.sort", lines)),
            recipe(port, "tree.archive", {"ref": "head"}), recipe(port, "tree.stat", {"ref": "head"}),
            recipe(port, "concat", base, recipe(port, "reverse", other), recipe(port, "slice", base, start="9", end="99999"))]


def test_results_follow_from_what_they_are_computed_from(directory):
    results = []
    for place in ("one", "two"):
        bucket = os.path.join(directory, place)
        with Server("mic-forge", bucket) as server, Server("mic-api", bucket, "--derive-slots", "1", "--derive-disk-bytes", "0") as more:
            project(server)
            assert land(server.port, "demo", [forge.write(f"src/{i}.c", "int i;\n" * i) for i in range(30)]).status == 200
            made = everything(server.port)
            results.append((made, [result(server.port, a) for a in made]))
            results.append((made, [result(more.port, a) for a in made]))
            assert status(more.port)["runs"]["runs"] > 0, "it has computed some itself"
    assert all(r == results[0] for r in results), "another server, another bucket: the same addresses, the same bytes"


def test_the_cache_may_lose_anything(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        assert land(port, "demo", [forge.write("f", "x\n")]).status == 200
        made = everything(port)
        wanted = [result(port, a) for a in made]
        runs = status(port)["runs"]["runs"]
        for _ in range(3):
            assert request(port, "POST", f"{DERIVE}/collect", {"unused_s": 0}).json["kept"] == 0
            assert status(port)["cache"]["entries"] == 0
            assert [result(port, a) for a in made] == wanted
        assert status(port)["runs"]["runs"] > runs
    # While it runs the files vanish, too.
    with Server("mic-forge", directory, "--derive-ram-bytes", "1MiB") as server:
        for where, _, names in os.walk(os.path.join(directory, ".micelio", "derive")):
            for name in names:
                if "index" not in os.path.relpath(where, directory):
                    os.unlink(os.path.join(where, name))
        assert [result(server.port, a) for a in made] == wanted


def test_a_damaged_file_is_noticed_by_its_hash(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        data = text_of(1 << 20)
        made = [recipe(server.port, "zstd.compress", leaf(server.port, data)), recipe(server.port, "reverse", leaf(server.port, data * 3))]
        wanted = [result(server.port, a) for a in made]
    damaged = 0
    for where, _, names in os.walk(os.path.join(directory, ".micelio", "derive")):
        for name in names:
            path = os.path.join(where, name)
            if "index" in os.path.relpath(where, directory) or os.path.getsize(path) < 1000:
                continue
            with open(path, "r+b") as file:
                file.seek(500)
                byte = file.read(1)
                file.seek(500)
                file.write(bytes([byte[0] ^ 1]))
            damaged += 1
    assert damaged >= 2
    with Server("mic-forge", directory) as server:
        assert [result(server.port, a) for a in made] == wanted
        now = status(server.port)
        assert now["cache"]["damaged"] == 2 and now["runs"]["runs"] == 2, now


def test_each_server_has_a_cache_of_its_own(directory):
    with Server("mic-forge", directory) as one, Server("mic-api", directory) as two:
        project(one)
        made = recipe(one.port, "reverse", leaf(one.port, b"abc"))
        ran = lambda server: get(server.port, made).headers["Mic-Ran"]
        assert [ran(s) for s in (one, two, one, two)] == ["yes", "yes", "no", "no"]
        assert request(one.port, "POST", f"{DERIVE}/invalidate", {"address": made}).json["was_cached"]
        assert [ran(s) for s in (one, two)] == ["yes", "no"]
        assert request(two.port, "POST", f"{DERIVE}/collect", {"unused_s": 0}).json["results"] == 1
        assert [ran(s) for s in (one, two)] == ["no", "yes"]


# ---- pins -------------------------------------------------------------------------------------


FEW = ("--derive-ram-bytes", "1MiB", "--derive-disk-bytes", "1MiB")


def others(port):
    """Gets more results than the cache has room for."""
    for i in range(30):
        assert get(port, recipe(port, "zstd.compress", leaf(port, random.Random(i).randbytes(150 << 10)))).status == 200


def test_a_pinned_result_stays_in_the_cache(directory):
    server = Server("mic-forge", directory, *FEW)
    project(server)
    pinned = recipe(server.port, "reverse", leaf(server.port, text_of(200 << 10)))
    inner = recipe(server.port, "uppercase", leaf(server.port, text_of(200 << 10, 2)))
    for address in (pinned, inner):
        assert request(server.port, "POST", f"{DERIVE}/{address}/pin").json == {"was_pinned": False}
    wanted = result(server.port, pinned)
    assert result(server.port, recipe(server.port, "length", inner)) == b"%d" % (200 << 10)
    others(server.port)
    assert [get(server.port, a).headers["Mic-Ran"] for a in (pinned, inner)] == ["no", "no"]
    server.kill()
    with Server("mic-forge", directory, *FEW) as server:
        assert sorted(request(server.port, "GET", f"{DERIVE}/pins").json["addresses"]) == sorted((pinned, inner))
        others(server.port)
        request(server.port, "POST", f"{DERIVE}/collect", {"unused_s": 0})
        answers = [get(server.port, a) for a in (pinned, inner)]
        assert [a.headers["Mic-Ran"] for a in answers] == ["no", "no"] and answers[0].body == wanted


def test_a_pin_counts_on_every_server(directory):
    with Server("mic-forge", directory) as one, Server("mic-api", directory, *FEW) as two:
        project(one)
        made = recipe(one.port, "reverse", leaf(one.port, text_of(200 << 10)))
        assert request(one.port, "POST", f"{DERIVE}/{made}/pin").status == 200
        assert get(two.port, sha256(b"what nobody has put")).status == 404
        assert request(two.port, "GET", f"{DERIVE}/pins").json == {"addresses": [made]}
        assert get(two.port, made).headers["Mic-Ran"] == "yes"
        others(two.port)
        assert get(two.port, made).headers["Mic-Ran"] == "no"


# ---- all of them ------------------------------------------------------------------------------

PROMISES = {
    "When their address has been answered they are durable in the bucket.": [test_what_was_answered_is_durable],
    "Every server finds them from then on, also when the one that answered has died.": [test_every_server_finds_it_from_then_on],
    "A bind is a landing in a tree of its own, durable before its answer and decided by compare and set.":
        [test_a_bind_is_decided_by_compare_and_set],
    "It has its place in a history, and closes no cycle, also when two that would do so together come at once.":
        [test_a_bind_has_its_place_in_a_history_and_closes_no_cycle],
    "A result reads all its references as of one moment, and says which.":
        [test_a_result_reads_its_references_as_of_one_moment, test_a_get_reads_its_references_once],
    "They follow from what they are computed from, on whatever server.": [test_results_follow_from_what_they_are_computed_from],
    "The cache may lose any of them at any time; nothing but time is lost.": [test_the_cache_may_lose_anything],
    "A damaged file of the cache is noticed by its hash, and computed again.": [test_a_damaged_file_is_noticed_by_its_hash],
    "Each server has a cache of its own: invalidating and collecting are about one.": [test_each_server_has_a_cache_of_its_own],
    "A result above the chunk size lies in chunks, each with an address of its own, its SHA-256; `mic derive chunks ADDRESS` lists them.":
        [test_chunks_can_be_got, test_the_command],
    "Unless references were used, every server can give what was listed from then on, also when the result is in no cache: it "
    "computes what is needed, and compares.": [test_chunks_can_be_got],
    "When a function has changed since, and gives something else, the chunk is not found.":
        ["tests/unit/test_executor_chunks.c: a_part_that_differs_is_not_there"],
    "A pin is durable before its answer, and keeps a result in the cache, over a restart, too, whether it was asked for itself or is "
    "an input of what was.": [test_a_pinned_result_stays_in_the_cache],
    "It counts on every server from when it has read of it, which is when it next looks for something that it does not know.":
        [test_a_pin_counts_on_every_server],
    "A function that gives two results for one input is quarantined: its results are not served, and the error names both.":
        [test_a_function_that_gave_two_results_is_quarantined],
}


def test_every_sentence_of_the_readme_has_its_test(directory):
    with open(os.path.join(forge.ROOT, "README.md"), encoding="utf-8") as file:
        section = re.search(r"^What you may rely on[^\n]*\n\n(.*?)\n\n(?!\*)", file.read(), re.S | re.M)[1]
    bullets = [" ".join(b.split()) for b in re.split(r"^\* ", section, flags=re.M)[1:]]
    sentences = [s for b in bullets for s in re.findall(r"[^.]+\.", re.sub(r"^\*\*[^*]+\*\*: ", "", b).replace("**", ""))]
    said = [s.strip() for s in sentences]
    for where, name in (place.split(": ") for tests in PROMISES.values() for place in tests if isinstance(place, str)):
        with open(os.path.join(forge.ROOT, where), encoding="utf-8") as file:
            assert f"START_TEST({name})" in file.read(), where
    assert said == list(PROMISES), [s for s in said if s not in PROMISES] + [s for s in PROMISES if s not in said]


if __name__ == "__main__":
    forge.main(list(dict.fromkeys(test for tests in PROMISES.values() for test in tests if callable(test))) + [test_every_sentence_of_the_readme_has_its_test])

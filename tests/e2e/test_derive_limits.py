#!/usr/bin/env python3
"""Derivation over the wire at its limits: sizes, counts, hashes, parameters, pages, addresses; results about as long as a chunk."""

import base64
import contextlib
import gzip
import hashlib
import http.client
import os
import random
import shutil
import threading

import forge
from forge import Server
from openapi import land, request
from test_derive import DERIVE, NOWHERE, get, leaf, project, recipe, result, sha256, status
from test_derive_more import text_of

INLINE = 64 << 10


# ---- leaves and recipes -----------------------------------------------------------------------


def test_leaves_are_held_against_their_hash(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        for size in (0, 5, INLINE, INLINE + 1, 5 << 20):
            data = random.Random(size).randbytes(size)
            for hash, wanted, code in ((NOWHERE, 422, "wrong_hash"), (sha256(data)[1:], 400, "bad_header"), ("", 400, "bad_header")):
                answer = request(port, "POST", f"{DERIVE}/leaves", data, {"Mic-Hash": hash})
                assert answer.status == wanted and answer.code == code, (size, answer.body)
                assert answer.json["error"]["field"] == "Mic-Hash"
            assert get(port, sha256(data)).status == 404 and status(port)["leaves"] == 0, size
        for n, size in enumerate((0, 5, INLINE, INLINE + 1, 5 << 20)):
            data = random.Random(size).randbytes(size)
            answer = request(port, "POST", f"{DERIVE}/leaves", data, {"Mic-Hash": sha256(data)})
            assert answer.status == 201 and answer.json == {"address": sha256(data), "size": size}, answer.body
            assert status(port)["leaves"] == n + 1
            assert leaf(port, data) == sha256(data), "put again it is the same"
            assert status(port)["leaves"] == n + 1
            assert result(port, sha256(data)) == data
            assert result(port, recipe(port, "length", sha256(data))) == b"%d" % size
        empty = get(port, sha256(b""), Range="bytes=0-0")
        assert empty.status == 200 and empty.body == b"", (empty.status, empty.body)


def test_uploads_and_files_are_leaves(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        for size in (5, INLINE + 1, 3 << 20):
            data = random.Random(size).randbytes(size)
            answer = request(port, "POST", "/projects/demo/blobs", data)
            assert answer.status == 201 and answer.json["hash"] == sha256(data), answer.body
            assert result(port, recipe(port, "reverse", sha256(data))) == data[::-1]
            assert request(port, "GET", f"{DERIVE}/{sha256(data)}/recipe").json == \
                {"address": sha256(data), "kind": "leaf", "size": size}
            assert result(port, sha256(data)) == data
        data = random.Random(9).randbytes(2 << 20)
        assert request(port, "POST", "/projects/demo/blobs", data).status == 201
        assert land(port, "demo", [{"op": "write", "path": "big", "content": {"blob": sha256(data)}}]).status == 200
        assert result(port, recipe(port, "sha256", {"ref": "head", "path": "big"})) == sha256(data).encode()


def canonical(function, inputs, parameters, version="1.0.0"):
    """The table of formats/recipe.h once more."""
    def short(text):
        return bytes([len(text)]) + text.encode()
    out = b"\x01" + short(function) + short(version) + len(inputs).to_bytes(4, "big")
    for one in inputs:
        if isinstance(one, str):
            out += b"\x01" + bytes.fromhex(one)
        else:
            for text in (one["ref"], one.get("path", "")):
                out += (b"\x02" if text is one["ref"] else b"") + len(text.encode()).to_bytes(2, "big") + text.encode()
    out += len(parameters).to_bytes(4, "big")
    for name in sorted(parameters):
        out += short(name) + len(parameters[name].encode()).to_bytes(4, "big") + parameters[name].encode()
    return out


def recipe_address(*args):
    return hashlib.new("sha512_256", b"micelio recipe\0" + canonical(*args)).hexdigest()


def test_an_address_follows_from_the_recipe_alone(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        a, b = leaf(port, b"a\nb\n"), leaf(port, b"a\nc\n")
        parameters = {"label-a": "größer", "context": "1", "label-b": "x"}
        wanted = recipe_address("text.diff", [a, b], parameters)
        for names in (("label-a", "context", "label-b"), ("context", "label-b", "label-a"), ("label-b", "label-a", "context")):
            assert recipe(port, "text.diff", a, b, **{name: parameters[name] for name in names}) == wanted
        assert recipe(port, "text.diff", b, a, **parameters) == recipe_address("text.diff", [b, a], parameters) != wanted
        refs = [{"ref": "head", "path": "a/b"}, {"ref": "other"}, a]
        assert recipe(port, "concat", *refs) == recipe_address("concat", refs, {})
        assert status(port)["recipes"] == 3
        # A leaf of a recipe's bytes is a leaf, with an address of its own.
        pose = canonical("text.diff", [a, b], parameters)
        assert leaf(port, pose) != wanted and result(port, leaf(port, pose)) == pose
        assert leaf(port, b"micelio recipe\0" + pose) != wanted


def test_an_address_is_one_thing(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"words")
        upper = recipe(port, "uppercase", words)
        # A leaf has no recipe and nothing to run.
        assert request(port, "GET", f"{DERIVE}/{words}/recipe").json == {"address": words, "kind": "leaf", "size": 5}
        nodes = request(port, "GET", f"{DERIVE}/{words}/lineage").json["nodes"]
        assert nodes == [{"address": words, "kind": "leaf", "size": 5}], nodes
        answer = request(port, "POST", f"{DERIVE}/{words}/verify").json
        assert answer["deterministic"] and answer["output"] == words, answer
        answer = request(port, "POST", f"{DERIVE}/invalidate", {"address": words}).json
        assert not answer["was_cached"] and answer["freed"] == 0 and answer["count"] == 0, answer
        assert result(port, words) == b"words"
        # A recipe's result is another thing than the recipe, and once known a leaf by its own address.
        out = sha256(b"WORDS")
        assert get(port, out).status == 404
        assert result(port, upper) == b"WORDS" and result(port, out) == b"WORDS"
        assert request(port, "GET", f"{DERIVE}/{upper}/recipe").json["kind"] == "recipe"
        # The address of a recipe that nobody has put is missing, whoever knows it.
        unknown = recipe_address("reverse", [words], {})
        answer = get(port, recipe(port, "length", unknown))
        assert answer.status == 404 and answer.code == "input_missing" and unknown in answer.json["error"]["message"]
        for what in ("recipe", "lineage"):
            answer = request(port, "GET", f"{DERIVE}/{unknown}/{what}")
            assert answer.status == 404 and answer.code == "not_found", answer.body
        assert recipe(port, "reverse", words) == unknown
        assert result(port, recipe(port, "length", unknown)) == b"5", "now that it is there"


def test_parameters_have_limits(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"{}")

        def refused(function, parameters, *inputs):
            answer = request(port, "POST", f"{DERIVE}/recipes",
                             {"function": function, "inputs": list(inputs or [words]), "parameters": parameters})
            assert answer.status in (413, 422), (answer.status, answer.body)
            return answer.status, answer.code, answer.json["error"].get("field")

        longest = "/" + "a" * (INLINE - 1)
        answer = get(port, recipe(port, "json.get", words, path=longest))
        assert answer.status == 422 and answer.code == "input_invalid", answer.body
        assert refused("json.get", {"path": longest + "a"})[:2] == (413, "recipe_invalid")
        many = {f"p{i}": "" for i in range(1025)}
        assert refused("json.get", many)[:2] == (413, "recipe_invalid")
        del many["p0"]
        assert refused("json.get", many) == (422, "parameter_invalid", "p1")
        assert refused("json.get", {"p" * 65: ""})[1] == "recipe_invalid"
        assert refused("json.get", {"Path": ""})[1] == "recipe_invalid"
        assert refused("json.get", {"": ""})[1] == "recipe_invalid"
        assert refused("json.get", {}) == (422, "parameter_invalid", "path")
        assert refused("repeat", {"count": "-1"}) == (422, "parameter_invalid", "count")
        assert refused("identity", {}, words, words) == (422, "parameter_invalid", None)
        assert refused("f" * 65, {})[:2] == (422, "recipe_invalid")
        # Only UTF-8, and no name twice.
        head = b'{"function": "json.get", "inputs": ["' + words.encode() + b'"], "parameters": {"path": '
        for wrong in (b'"\xff"}}', b'"\xed\xa0\x80"}}', b'"\xc0\x80"}}', b'"\\ud800"}}', b'"a", "path": "b"}}', b'1}}', b'null}}',
                      b'"\\u0000"}}'):
            answer = request(port, "POST", f"{DERIVE}/recipes", head + wrong)
            assert answer.status in (400, 422), (wrong, answer.status, answer.body)
        assert status(port)["recipes"] == 1


def test_recipes_have_limits(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"x")
        wide = recipe(port, "concat", *[words] * 100000)
        assert result(port, recipe(port, "length", wide)) == b"100000"
        assert get(port, wide, Range="bytes=99999-").body == b"x"
        one = {"function": "slice", "inputs": [words]}
        answer = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [{**one, "parameters": {"end": str(i)}} for i in range(10000)]})
        assert answer.status == 201 and len(set(answer.json["addresses"])) == 10000
        answer = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [one] * 10001})
        assert (answer.status, answer.code) == (422, "out_of_range") and answer.json["error"]["field"] == "recipes", answer.body
        answer = request(port, "POST", f"{DERIVE}/recipes", b'{"function": "concat", "inputs": [' +
                         b'"x",' * ((1 << 20) + 1) + b'"x"]}')
        assert (answer.status, answer.code) == (422, "out_of_range") and answer.json["error"]["field"] == "inputs", answer.body[:300]
        # All of a request's recipes, or none.
        before = status(port)["recipes"]
        answer = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [
            {"function": "reverse", "inputs": [words]}, {"function": "repeat", "inputs": [words]}]})
        assert answer.code == "parameter_invalid" and status(port)["recipes"] == before, answer.body


def test_a_large_graph_after_a_restart(directory):
    n = 10000
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"abcdef")
        below = recipe(port, "identity", words)
        wide = request(port, "POST", f"{DERIVE}/recipes", {"recipes": [
            {"function": "repeat", "inputs": [below], "parameters": {"count": str(i)}} for i in range(n)]}).json["addresses"]
        deep = [wide[1]]
        for i in range(1000):
            deep.append(recipe_address("reverse", [deep[-1]], {}))
        chain = [{"function": "reverse", "inputs": [address]} for address in deep[:-1]]
        assert request(port, "POST", f"{DERIVE}/recipes", {"recipes": chain}).json["addresses"] == deep[1:]
    for after in ("a stop", "a stop once more", "a kill, and without its directory"):
        server = Server("mic-forge", directory)
        port = server.port
        assert status(port)["recipes"] == n + 1001
        answer = request(port, "GET", f"{DERIVE}/dependents?address={words}").json
        assert (answer["count"], answer["depth"], answer["addresses"]) == (n + 1001, 1002, [below]), answer
        answer = request(port, "GET", f"{DERIVE}/dependents?address={below}&limit=10000").json
        assert sorted(answer["addresses"]) == sorted(wide)
        nodes = request(port, "GET", f"{DERIVE}/{deep[-1]}/lineage").json["nodes"]
        assert [node["address"] for node in nodes] == deep[::-1] + [below, words]
        assert result(port, deep[-1]) == b"abcdef"
        if after == "a stop once more":
            server.kill()
            shutil.rmtree(os.path.join(directory, ".micelio", "derive"))
        server.stop()


def test_pages_of_dependents(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        words = leaf(port, b"abcdef")
        made = sorted(recipe(port, "slice", words, end=str(i)) for i in range(7))
        top = recipe(port, "concat", *made)
        over = recipe(port, "length", {"ref": "a/b"})
        for limit in (1, 3, 7, 8, 10000):
            first = request(port, "GET", f"{DERIVE}/dependents?address={words}&limit={limit}").json
            assert (first["count"], first["depth"]) == (8, 2), first
            pages, seen = [first], list(first["addresses"])
            while "next" in pages[-1]:
                pages.append(request(port, "GET", f"{DERIVE}/dependents?address={words}&limit={limit}&after={pages[-1]['next']}").json)
                assert not {"count", "depth"} & set(pages[-1]), "only the first page counts"
                seen += pages[-1]["addresses"]
            assert sorted(seen) == made and len(pages) == (7 + limit - 1) // limit, (limit, len(pages))
        empty = request(port, "GET", f"{DERIVE}/dependents?address={top}").json
        assert empty == {"addresses": [], "count": 0, "depth": 0}, empty
        assert request(port, "GET", f"{DERIVE}/dependents?ref=a%2Fb").json["addresses"] == [over]
        assert request(port, "GET", f"{DERIVE}/dependents?ref=a").json["addresses"] == []
        for wrong in ("", f"?address={words}&ref=a%2Fb", "?address=xyz"):
            assert request(port, "GET", f"{DERIVE}/dependents{wrong}").status == 422, wrong
        for wrong in ("limit=0", "limit=10001", "limit=x", "after=xyz"):
            assert request(port, "GET", f"{DERIVE}/dependents?address={words}&{wrong}").code == "bad_query", wrong
        assert request(port, "GET", f"{DERIVE}/{top}/lineage?limit=3").json["more"]
        assert not request(port, "GET", f"{DERIVE}/{top}/lineage?limit=9").json["more"]
        assert request(port, "GET", f"{DERIVE}/{top}/lineage?format=png").code == "bad_query"


# ---- results ----------------------------------------------------------------------------------


def ranges(port, address, data, edge):
    for at in sorted({0, max(edge - 1, 0), edge, edge + 1, len(data) - 1}):
        for size in (1, 2, edge):
            if at < len(data):
                part = get(port, address, Range=f"bytes={at}-{at + size - 1}")
                assert part.status == 206 and part.body == data[at:at + size], (at, size, part.status)


def test_ranges_that_turn_out_otherwise(directory):
    with Server("mic-forge", directory) as server:
        project(server)
        port = server.port
        base = leaf(port, b"0123456789" * 100000)
        # If-Range names another content: all of it comes.
        for number in range(3):
            part = recipe(port, "slice", recipe(port, "concat", base, base), start=str(number), end="1500000")
            for _ in range(2):
                answer = get(port, part, Range="bytes=500000-500009", **{"If-Range": '"another"'})
                assert answer.status == 200 and answer.body == (b"0123456789" * 200000)[number:1500000], answer.status
        answer = get(port, part, Range="bytes=5-9", **{"If-Range": answer.headers["ETag"]})
        assert answer.status == 206 and answer.body == b"78901", answer.body
        for header in ("bytes=-0", "bytes=5-4", "bytes=0-1,4-5", "bytes=", "bytes=9999999-", "lines=1-2"):
            fresh = recipe(port, "slice", base, end=str(1000 + len(header)))
            answer = get(port, fresh, Range=header)
            assert answer.status in (200, 416) and (answer.status == 416) == (header in ("bytes=-0", "bytes=9999999-")), (header, answer.status)
        # The size changes while a range from its end is asked for.
        short, long = leaf(port, b"short end"), leaf(port, b"x" * 300000 + b"the long end")
        made = recipe(port, "concat", recipe(port, "slice", {"ref": "r"}, start="1"))
        assert request(port, "PUT", "/projects/demo/refs/r", {"address": long}).status == 200
        stop, wrong = threading.Event(), []

        def ask():
            wanted = {b"hort end": "0-7/8", b"long end": "300003-300010/300011"}
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                while not stop.is_set():
                    answer = request(port, "GET", f"{DERIVE}/{made}", headers={"Range": "bytes=-8"}, connection=connection)
                    if answer.status != 206 or answer.headers["Content-Range"] != "bytes " + wanted.get(answer.body, ""):
                        wrong.append((answer.status, answer.headers, answer.body[:100]))

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for address in (short, long) * 150:
            assert request(port, "PUT", "/projects/demo/refs/r", {"address": address}).status == 200
        stop.set()
        for asker in askers:
            asker.join()
        assert not wrong, wrong[:3]


def test_results_around_the_chunk_size(directory):
    chunk = 64 << 10
    with Server("mic-forge", directory, "--chunk-size", "64KiB") as server:
        project(server)
        port = server.port
        for size in (chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1):
            data = text_of(size, size)
            base = leaf(port, data)
            made = {
                recipe(port, "identity", base): data,
                recipe(port, "concat", base, base): data + data,
                recipe(port, "concat", recipe(port, "slice", base, end=str(size - chunk // 2)), leaf(port, bytes(chunk // 2))):
                    data[:size - chunk // 2] + bytes(chunk // 2),
                recipe(port, "slice", recipe(port, "concat", base, base), start="7", end=str(7 + size)): (data + data)[7:7 + size],
                recipe(port, "repeat", leaf(port, b"abc"), count=str(size)): b"abc" * size,
                recipe(port, "uppercase", base): data.upper(),
                recipe(port, "reverse", base): data[::-1],
                recipe(port, "hex.encode", base): data.hex().encode(),
                recipe(port, "base64.encode", base): base64.b64encode(data),
                recipe(port, "base64.decode", leaf(port, base64.b64encode(data))): data,
                recipe(port, "hex.decode", recipe(port, "hex.encode", base)): data,
                recipe(port, "zstd.decompress", recipe(port, "zstd.compress", base)): data,
                recipe(port, "gzip.decompress", leaf(port, gzip.compress(data))): data,
                recipe(port, "lines.sort", leaf(port, data.replace(b" ", b"\n"))):
                    b"\n".join(sorted(data.split(b" "))) + b"\n",
            }
            for address, wanted in made.items():
                answer = get(port, address)
                assert answer.status == 200 and answer.body == wanted, (size, request(port, "GET", f"{DERIVE}/{address}/recipe").body)
                assert answer.headers.get("Mic-Chunk-Size") == (str(chunk) if len(wanted) > chunk else None), (size, len(wanted))
                if len(wanted) <= 2 * chunk + 1:
                    ranges(port, address, wanted, chunk)
            turned = data[::-1]
            for at in range(0, size, chunk):
                assert result(port, sha256(turned[at:at + chunk])) == turned[at:at + chunk]


if __name__ == "__main__":
    forge.main([test_leaves_are_held_against_their_hash, test_uploads_and_files_are_leaves,
                test_an_address_follows_from_the_recipe_alone, test_an_address_is_one_thing, test_parameters_have_limits,
                test_recipes_have_limits, test_a_large_graph_after_a_restart,
                test_pages_of_dependents, test_ranges_that_turn_out_otherwise,
                test_results_around_the_chunk_size])

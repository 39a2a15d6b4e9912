#!/usr/bin/env python3
"""Derivation against api/openapi.yaml: every status and every code that it has of an operation comes, and (as for every answer
that tests/e2e/openapi.py checks) no other does."""

import os

import forge
import openapi
from forge import Server
from openapi import land, request
from test_cli import FAILED, User
from test_derive import DERIVE, NOWHERE, get, leaf, project, recipe, sha256
from test_derive_limits import canonical, recipe_address
from test_derive_more import derive_object, slow

# More recipes below one address than a test can put.
NOT_HERE = {"graph_too_large"}
REFS = "/projects/demo/refs"


def described():
    """Method, path, status, code or None: of all that the description has of derivation."""
    for path, methods in openapi.SPEC["paths"].items():
        if "/derive/" not in path:
            continue
        for method, operation in methods.items():
            codes = operation["x-codes"]
            for status in operation["responses"]:
                if status != "default":
                    for code in codes.get(status, []) if int(status) >= 400 else [None]:
                        yield method, path, int(status), code


def recipe_item(*args):
    text = canonical(*args)
    return b"\x01" + len(text).to_bytes(4, "big") + text


class Faults:
    """Addresses that cannot be computed, each by its code."""

    def __init__(self, server, bucket):
        port = server.port
        words = leaf(port, b"words")
        functions = {f["name"]: f for f in request(port, "GET", f"{DERIVE}/functions").json["functions"]}
        # What a server of another version has put; and a function that it has found out.
        unknown, wrong = ("rot13", [words], {}), ("repeat", [words], {"count": "many"})
        name, version = b"lines.tail", b"1.0.0"
        quarantine = b"\x06" + bytes([len(name)]) + name + bytes([len(version)]) + version + bytes.fromhex(
            functions["lines.tail"]["implementation"] + NOWHERE + sha256(b"1") + sha256(b"2"))
        derive_object(server, bucket, recipe_item(*unknown), recipe_item(*wrong), quarantine)
        # Bound before there was a recipe that could have shown the cycle.
        round_about = recipe_address("identity", [{"ref": "round"}], {})
        assert request(port, "PUT", f"{REFS}/round", {"address": round_about}).status == 200
        assert recipe(port, "identity", {"ref": "round"}) == round_about
        assert land(port, "demo", [forge.write("a/b", "c\n")]).status == 200
        self.addresses = {
            "not_found": NOWHERE,
            "input_missing": recipe(port, "length", NOWHERE),
            "ref_missing": recipe(port, "length", {"ref": "nobody"}),
            "ref_cycle": round_about,
            "unknown_function": recipe_address(*unknown),
            "parameter_invalid": recipe_address(*wrong),
            "input_invalid": recipe(port, "hex.decode", words),
            "quarantined": recipe(port, "lines.tail", words),
            "result_too_large": recipe(port, "repeat", words, count=str(10 ** 18)),
        }


def test_everything_described_comes(directory):
    bucket = os.path.join(directory, "bucket")
    with Server("mic-forge", bucket) as server:
        project(server)
        port = server.port
        faults = Faults(server, bucket).addresses
        user = User(server, directory)
        post = lambda what, body: request(port, "POST", f"{DERIVE}/{what}", body)
        about = {}
        for code, address in faults.items():
            for path in ("", "/chunks"):
                answer = get(port, address + path)
                assert answer.status >= 400 and answer.code == code, (code, answer.status, answer.body)
                assert answer.json["error"]["field"] == address, (code, answer.body)
            about[code] = answer.status
            request(port, "POST", f"{DERIVE}/{address}/verify")
            request(port, "GET", f"{DERIVE}/{address}/recipe")
            request(port, "GET", f"{DERIVE}/{address}/lineage")
            # The command says the same.
            said = user.fails(FAILED, "derive", "get", address, "-p", "demo")
            assert said.endswith(f"({code})\n") and address in said, said
            # What is computed from it fails for the same, about the same.
            if code != "not_found":
                above = get(port, recipe(port, "reverse", recipe(port, "identity", address)))
                assert (above.status, above.code, above.json["error"]["field"]) == (answer.status, code, address), above.body
        assert request(port, "POST", f"{DERIVE}/{faults['not_found']}/pin").code == "not_found"
        tree = recipe(port, "identity", {"ref": "head"})
        assert get(port, tree).code == "input_invalid", "it takes bytes"
        content = request(port, "GET", "/projects/demo/head").json["content"]
        get(port, recipe(port, "tree.list", {"ref": "head"}))
        assert get(port, content).code == get(port, content + "/chunks").code == "is_tree"
        # Putting.
        words = leaf(port, b"words")
        request(port, "POST", f"{DERIVE}/leaves", b"x", {"Mic-Hash": NOWHERE})
        post("recipes", {"function": "repeat", "inputs": [words]})
        post("recipes", {"function": "rot13", "inputs": [words]})
        post("recipes", {"function": "length", "inputs": [{"ref": "a//b"}]})
        post("recipes", {"function": "json.get", "inputs": [words], "parameters": {"path": "/" * 65537}})
        # And all that goes well.
        fine = recipe(port, "reverse", words)
        answer = get(port, fine)
        get(port, fine, **{"If-None-Match": answer.headers["ETag"]})
        get(port, fine, Range="bytes=0-1")
        get(port, fine, Range="bytes=9-")
        late, _ = slow(port)
        for path in ("", "/chunks"):
            assert request(port, "GET", f"{DERIVE}/{late}{path}?wait=1ms").status == 202
        request(port, "POST", f"{DERIVE}/{late}/verify?wait=1ms")
        for what in ("recipe", "chunks", "progress", "lineage", "lineage?format=dot"):
            request(port, "GET", f"{DERIVE}/{fine}/{what}")
        for what in ("verify", "pin", "unpin"):
            request(port, "POST", f"{DERIVE}/{fine}/{what}")
        for what in ("functions", "pins", "status", f"dependents?address={words}", "dependents"):
            request(port, "GET", f"{DERIVE}/{what}")
        for body in ({"address": fine}, {}):
            post("invalidate", body)
        post("collect", {})
    missing = sorted(str(one) for one in set(described()) - openapi.came if one[3] not in NOT_HERE)
    assert not missing, "described, and did not come:\n" + "\n".join(missing)


if __name__ == "__main__":
    forge.main([test_everything_described_comes])

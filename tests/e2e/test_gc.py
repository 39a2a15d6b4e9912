#!/usr/bin/env python3
"""mic-gc as an operator starts it: looking, acting, beside a forge, and where it cannot."""

import ctypes
import json
import os
import struct
import subprocess
import time

import forge
from forge import Server, write
from openapi import land, request

DAY = 86400


def gc(*args):
    return subprocess.run([forge.program("mic-gc"), *args], capture_output=True, text=True, timeout=120)


def lines(done):
    parsed = [json.loads(line) for line in done.stdout.splitlines()]
    assert parsed and parsed[-1]["type"] == "summary", done.stdout + done.stderr
    return parsed


def upload(port, data):
    answer = request(port, "POST", "/projects/demo/blobs", data)
    assert answer.status == 201, answer.body
    return answer.json["hash"]


def age(directory, days):
    """All that lies there was put so long ago."""
    then = time.time() - days * DAY
    for name in forge.objects(directory):
        os.utime(os.path.join(directory, name), (then, then))


def prepared(server, directory):
    """A project with a landed upload, and one that nothing names."""
    assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
    kept, lost = upload(server.port, b"k" * 100000), upload(server.port, b"l" * 100000)
    change = {"op": "write", "path": "big", "content": {"blob": kept}}
    answer = land(server.port, "demo", [change, write("a", "text")])
    assert answer.status == 200, answer.body
    return kept, lost


def blobs(directory):
    return {name.rsplit("/", 1)[1] for name in forge.objects(directory) if "/blobs/" in name}


def test_looks_and_acts(directory):
    with Server("mic-forge", directory) as server:
        kept, lost = prepared(server, directory)
        assert blobs(directory) == {kept, lost}
        done = gc(directory)
        assert done.returncode == 0 and "to be deleted 0 of" in done.stdout, done.stdout + done.stderr
        age(directory, 8)
        before = forge.objects(directory)
        done = gc(directory, "--json")
        said = lines(done)
        assert done.returncode == 0, done.stdout
        assert [line["key"].rsplit("/", 1)[1] for line in said if line["type"] == "object"] == [lost], said
        assert said[-2]["collectable"]["objects"] == 1 and said[-2]["deleted"]["objects"] == 0, said
        assert said[-1]["collectable"]["bytes"] > 0 and not said[-1]["acts"], said
        assert forge.objects(directory) == before
        done = gc(directory, "demo", "--act")
        assert done.returncode == 0 and "deleted 1 of" in done.stdout, done.stdout + done.stderr
        assert blobs(directory) == {kept}
        # Everything goes on, and what was taken can be put again.
        assert land(server.port, "demo", [write("b", "text")]).status == 200
        assert upload(server.port, b"l" * 100000) == lost
        done = gc(directory, "--act", "--json", "--gc-grace-ms", "30h")
        assert done.returncode == 0 and lines(done)[-1]["deleted"]["objects"] == 0, done.stdout
    checked = subprocess.run([forge.program("mic-fsck"), directory, "--deep"], capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0 and checked.stdout.count("\n") == 1, checked.stdout


def derive_objects(directory, count):
    """What one node told of derivation: a leaf an object."""
    xxh = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    xxh.restype, xxh.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t)
    project = next(name for name in forge.objects(directory) if name.endswith("/head")).split("/")[1]
    place = os.path.join(directory, "projects", project, "derive", "0000000000000abc")
    os.makedirs(place)
    for seq in range(1, count + 1):
        leaf = b"leaf %d" % seq
        body = bytes.fromhex(project) + struct.pack(">QQQIBI", 0xabc, seq, seq, 1, 2, len(leaf)) + leaf
        with open(os.path.join(place, f"{seq:016x}.bin"), "wb") as file:
            file.write(b"MDRV" + struct.pack(">HHQ", 1, 0, xxh(body, len(body))) + body)


def test_derive_logs_are_merged(directory):
    def derived():
        return [name.split("/derive/")[1] for name in forge.objects(directory) if "/derive/" in name]

    def checked():
        done = subprocess.run([forge.program("mic-fsck"), directory, "--json"], capture_output=True, text=True, timeout=120)
        said = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == 0 and said["clean"] and said["notes"] == 0, done.stdout
        return said["derive_objects"]

    with Server("mic-forge", directory) as server:
        assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
    derive_objects(directory, 20)
    assert checked() == 20
    done = gc(directory, "--act", "--json")
    assert done.returncode == 0 and lines(done)[-2]["merged"] == 0 and len(derived()) == 20, done.stdout
    age(directory, 8)
    assert gc(directory).returncode == 0 and len(derived()) == 20
    done = gc(directory, "--act", "--json")
    assert done.returncode == 0 and lines(done)[-2]["merged"] == 20, done.stdout + done.stderr
    assert derived() == ["segments/0000000000000001.bin"], derived()
    assert checked() == 20


def test_damage(directory):
    with Server("mic-forge", directory) as server:
        prepared(server, directory)
    age(directory, 8)
    head = next(name for name in forge.objects(directory) if name.endswith("/head"))
    with open(os.path.join(directory, head), "r+b") as file:
        file.truncate(20)
    before = forge.objects(directory)
    done = gc(directory, "--act")
    assert done.returncode == 1 and head in done.stderr, done.stdout + done.stderr
    assert forge.objects(directory) == before
    assert lines(gc(directory, "--json"))[0]["end"] == "damaged"


def test_what_cannot_be_done(directory):
    missing = os.path.join(directory, "missing")
    done = gc(missing)
    assert done.returncode == 2 and "there is no bucket" in done.stderr and not os.path.exists(missing), done.stderr
    empty = os.path.join(directory, "empty")
    os.mkdir(empty)
    done = gc(empty, "--act")
    assert done.returncode == 2 and "there is no bucket" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(empty, "bucket"))
    with Server("mic-forge", directory) as server:
        assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
    for args in ([], [directory, "--acts"], [directory, "one", "two"], [directory, "--close", "0" * 32],
                 [directory, "nobody"], [directory, "demo", "--close", "0" * 32, "--resume", "0" * 32]):
        assert gc(*args).returncode == 2, args
    done = gc(directory, "demo", "--close", "1" * 32)
    assert done.returncode == 1 and "not the run" in done.stderr, done.stderr
    assert gc("--help").returncode == 0
    done = gc("s3://bucket/place", "--s3-endpoint", f"http://127.0.0.1:{forge.free_port()}", "--s3-tries", "1")
    assert done.returncode == 2 and "mic-gc: " in done.stderr, done.stderr


if __name__ == "__main__":
    forge.main([test_looks_and_acts, test_derive_logs_are_merged, test_damage, test_what_cannot_be_done])

#!/usr/bin/env python3
"""mic-replay as an operator starts it: compares, brings a project back, and goes on after a kill -9."""

import os
import random
import signal
import subprocess
import time

import forge
from forge import Server, write
from openapi import land, request

AGREES, DIFFERS, USAGE, NOT_DONE = 0, 1, 2, 3


def replay(directory, *args):
    done = subprocess.run([forge.program("mic-replay"), directory, *args], capture_output=True, text=True, timeout=120)
    print(args, done.returncode, done.stdout, done.stderr, flush=True)
    return done


def once(name, directory):
    done = subprocess.run([forge.program(name), directory, "--once"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def grow(api, landings):
    """Series of sessions that write, delete and overwrite."""
    chance = random.Random(landings)
    here = set()
    for first in range(0, landings, 100):
        series = []
        for i in range(first, min(first + 100, landings)):
            path = f"d{chance.randrange(5)}/f{chance.randrange(40)}"
            operations = [write(path, f"text {i}"), write(f"n/{i}", str(i))]
            if i % 7 == 3 and here:
                operations.append({"op": "delete", "path": here.pop()})
            here.add(f"n/{i}")
            series.append({"goal": f"goal {i}", "operations": operations, "decisions": [{"text": f"decided {i}"}]})
        answer = request(api.port, "POST", "/projects/demo/land?wait=30s", {"sessions": series})
        assert answer.status == 200, answer.body


def tree(port, project, position):
    found, after = {}, ""
    answer = request(port, "GET", f"/projects/{project}/diff?from=0&to={position}").json
    while True:
        found.update({c["path"]: (c["b"]["hash"], c["b"]["stamp"]) for c in answer["changes"]})
        after = answer.get("next")
        if not after:
            return found
        answer = request(port, "GET", f"/projects/{project}/diff?from=0&to={position}&after={after}").json


def log(port, project, position):
    entries = request(port, "GET", f"/projects/{project}/log?limit=1000&before={position}").json["entries"]
    return [(e["position"], e["session"], e["author"], e["goal"], e["hlc"]) for e in entries]


def test_verify_and_into(directory):
    with Server("mic-forge", directory) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        grow(api, 350)
        once("mic-append", directory)
        done = replay(directory, "demo", "--verify")
        assert done.returncode == AGREES and "agrees up to position 350" in done.stdout, done
        done = replay(directory, "demo", "--into", "back", "--to", "123")
        assert done.returncode == AGREES and "back is demo up to position 123" in done.stdout, done
        # The running forge serves it, and it is what it was.
        assert request(api.port, "GET", "/projects/back/head").json["position"] == 123
        assert tree(api.port, "back", 123) == tree(api.port, "demo", 123)
        assert log(api.port, "back", 123) == log(api.port, "demo", 123)
        session = log(api.port, "back", 123)[5][1]
        read = request(api.port, "GET", f"/projects/back/sessions/{session}").json
        assert read["state"] == "landed" and read["decisions"][0]["text"].startswith("decided"), read
        # Work goes on in it.
        answer = land(api.port, "back", [write("more", "1")])
        assert answer.status == 200 and answer.json["results"][0]["position"] == 124, answer.body
        # The same command again: it was done.
        done = replay(directory, "demo", "--into", "back", "--to", "123")
        assert done.returncode == AGREES and "back was made of demo before" in done.stdout, done
        # Both are whole, down to every page.
        check = subprocess.run([forge.program("mic-fsck"), directory, "--deep"], capture_output=True, text=True, timeout=120)
        assert check.returncode == 0, check.stdout + check.stderr
        # What cannot be.
        assert "there is a project back already" in replay(directory, "demo", "--into", "back").stderr
        for args in ([], ["demo"], ["demo", "--verify", "--into", "x"], ["demo", "--verify", "--to", "x"],
                     ["demo", "--into", "Bad Name"], ["demo", "x", "--verify"]):
            assert replay(directory, *args).returncode == USAGE, args
        assert replay(directory, "nobody", "--verify").returncode == NOT_DONE
        assert "no position 999" in replay(directory, "demo", "--verify", "--to", "999").stderr


def test_tampered(directory):
    with Server("mic-forge", directory) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        grow(api, 320)
        once("mic-append", directory)
        lost = [o for o in forge.objects(directory) if o.endswith("000000000101-000000000201.log")]
        assert len(lost) == 1, lost
        path = os.path.join(directory, lost[0])
        with open(path, "rb") as file:
            whole = file.read()
        os.rename(path, os.path.join(os.path.dirname(directory), "kept.log"))
        done = replay(directory, "demo", "--verify")
        assert done.returncode == DIFFERS and "differs at position 101: " in done.stdout, done
        with open(path, "wb") as file:
            file.write(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
        done = replay(directory, "demo", "--verify")
        assert done.returncode == DIFFERS and "agrees up to position 100" in done.stdout, done


def test_killed_it_goes_on(directory):
    with Server("mic-forge", directory) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        grow(api, 3000)
        once("mic-append", directory)
        chance = random.Random(os.environ.get("MIC_SEED"))
        kills = 0
        for n in range(12):
            run = subprocess.Popen([forge.program("mic-replay"), directory, "demo", "--into", "back"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(chance.uniform(0, 0.04 * n))
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                kills += 1
            run.communicate()
            status = request(api.port, "GET", "/projects/back/head").status
            assert status in (200, 404), status
            if status == 200:
                assert request(api.port, "GET", "/projects/back/head").json["position"] == 3000
                break
        assert kills > 0
        assert replay(directory, "demo", "--into", "back").returncode == AGREES
        assert tree(api.port, "back", 3000) == tree(api.port, "demo", 3000)
        assert replay(directory, "back", "--verify").returncode == AGREES


TESTS = [test_verify_and_into, test_tampered, test_killed_it_goes_on]

if __name__ == "__main__":
    forge.main(TESTS)

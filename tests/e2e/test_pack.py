#!/usr/bin/env python3
"""mic-pack as an operator starts it: nothing that anybody sees changes, beside landings, and after a kill -9."""

import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

import forge
from forge import Server, write
from openapi import land, request

DONE, LATER, USAGE, NOT_DONE = 0, 1, 2, 3


def run(name, *args):
    done = subprocess.run([forge.program(name), *args], capture_output=True, text=True, timeout=120)
    print(name, args, done.returncode, done.stdout, done.stderr, flush=True)
    return done


def grow(api, project, landings):
    for i in range(landings):
        answer = land(api.port, project, [write(f"part{i % 3}/dir{i}/file{k}", f"{i} {k}") for k in range(3)])
        assert answer.status == 200, answer.body


def tree(api, project, position):
    answer = request(api.port, "GET", f"/projects/{project}/diff?from=0&to={position}&limit=1000").json
    assert not answer.get("next")
    return {c["path"]: (c["b"]["hash"], c["b"]["stamp"]) for c in answer["changes"]}


def checkout(api):
    """The files that a fresh checkout has."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="micelio-ws-") as home:
        env = {**os.environ, "HOME": home}
        for args in (["login", f"http://127.0.0.1:{api.port}", "--author", "ann"], ["checkout", "demo", "ws"]):
            done = subprocess.run([forge.program("mic"), *args], cwd=home, env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
        place = os.path.join(home, "ws")
        for folder, _, names in os.walk(place):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), place)
                if not path.startswith(".mic"):
                    with open(os.path.join(place, path), encoding="utf-8") as file:
                        found[path] = file.read()
    assert len(found) >= 120, len(found)
    return found


def test_packs(directory):
    with Server("mic-forge", directory) as api:
        for project in ("demo", "other"):
            assert request(api.port, "POST", "/projects", {"handle": project}).status == 201
        grow(api, "demo", 40)
        before = tree(api, "demo", 40), tree(api, "demo", 20), checkout(api)
        objects = forge.objects(directory)
        done = run("mic-pack", directory, "demo", "--dry-run")
        assert done.returncode == DONE and "would be packed" in done.stdout, done
        assert forge.objects(directory) == objects
        done = run("mic-pack", directory, "demo", "--json")
        said = json.loads(done.stdout)
        assert done.returncode == DONE and said["outcome"] == "packed", done
        assert said["ranges_before"] > 10 * said["ranges_after"] and said["pages"] == 44, said
        assert said["objects_written"] == said["objects_after"] == 2 and said["tries"] == 1, said
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 40
        assert (tree(api, "demo", 40), tree(api, "demo", 20), checkout(api)) == before
        done = run("mic-pack", directory, "demo")
        assert done.returncode == DONE and "not needed" in done.stdout, done
        # Work goes on.
        assert land(api.port, "demo", [write("part0/dir0/file9", "new")]).json["results"][0]["position"] == 41
        done = run("mic-pack", directory, "--all", "--always", "--json")
        assert done.returncode == DONE, done
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(s["project"], s["outcome"]) for s in said] == [("demo", "packed"), ("other", "not_needed")], said
        assert checkout(api) == {**before[2], "part0/dir0/file9": "new"}
        assert run("mic-fsck", directory, "--deep").returncode == 0
        assert run("mic-replay", directory, "demo", "--verify").returncode == 0
        # What cannot be.
        for args in ([], ["demo", "--all"], ["demo", "x"]):
            assert run("mic-pack", directory, *args).returncode == USAGE, args
        assert run("mic-pack", directory, "nobody").returncode == NOT_DONE


def test_beside_landings_and_killed(directory):
    with Server("mic-forge", directory) as api:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        grow(api, "demo", 10)
        ended = threading.Event()
        landed = []

        def work():
            while not ended.is_set():
                answer = land(api.port, "demo", [write(f"busy/{len(landed)}/file", "x")])
                assert answer.status == 200, answer.body
                landed.append(answer.json["results"][0]["position"])

        worker = threading.Thread(target=work)
        worker.start()
        try:
            chance = random.Random(os.environ.get("MIC_SEED"))
            outcomes = []
            for n in range(16):
                packer = subprocess.Popen([forge.program("mic-pack"), directory, "demo", "--always"],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if n % 2:
                    time.sleep(chance.uniform(0, 0.03))
                    packer.send_signal(signal.SIGKILL)
                outcomes.append(packer.wait())
            print(outcomes, len(landed))
        finally:
            ended.set()
            worker.join()
        assert landed == list(range(11, 11 + len(landed))) and DONE in outcomes, (landed, outcomes)
        assert set(outcomes) <= {DONE, LATER, -signal.SIGKILL}, outcomes
        assert len(tree(api, "demo", landed[-1])) == 30 + len(landed)
        assert run("mic-fsck", directory, "--deep").returncode == 0
        assert run("mic-replay", directory, "demo", "--verify").returncode == 0


TESTS = [test_packs, test_beside_landings_and_killed]

if __name__ == "__main__":
    forge.main(TESTS)

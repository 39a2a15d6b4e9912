#!/usr/bin/env python3
"""mic-fsck as an operator starts it: beside a forge under load, on damage, and where it cannot check."""

import json
import os
import re
import shutil
import subprocess
import threading

import forge
from forge import Server, wait_until, write
from openapi import land, request


def fsck(*args):
    return subprocess.run([forge.program("mic-fsck"), *args], capture_output=True, text=True, timeout=120)


def findings(done):
    """What --json prints: the findings, and the sum."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines and lines[-1]["type"] == "summary", done.stdout
    assert all(line["type"] in ("damage", "note") for line in lines[:-1]), done.stdout
    return lines[:-1], lines[-1]


class Client(threading.Thread):
    """Lands one session after the other, some of them in conflict."""

    def __init__(self, port, name, stopping):
        super().__init__()
        self.port, self.name, self.stopping = port, name, stopping
        self.answers = 0
        self.wrong = None

    def run(self):
        try:
            while not self.stopping.is_set():
                n = self.answers
                changes = [write(f"{self.name}/{n % 30}/{i}", f"{self.name} {n} {i}") for i in range(3)]
                if n % 5 == 0:
                    changes.append(write("shared", f"{self.name} {n}"))
                answer = land(self.port, "demo", changes)
                assert answer.status in (200, 409), answer.body
                self.answers += 1
        except Exception as e:
            self.wrong = e


def test_beside_landings(directory):
    with Server("mic-forge", directory) as server:
        assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
        stopping = threading.Event()
        clients = [Client(server.port, f"c{i}", stopping) for i in range(4)]
        for client in clients:
            client.start()
        position = 0
        for round in range(12):
            wait_until(lambda: sum(c.answers for c in clients) > 40 * round or any(c.wrong for c in clients))
            args = [directory, "--json"] + (["--deep"] if round % 3 == 0 else []) + (["demo"] if round % 4 == 1 else [])
            done = fsck(*args)
            found, total = findings(done)
            assert done.returncode == 0 and found == [], done.stdout + done.stderr
            assert total["checked"] and total["clean"] and total["deep"] == ("--deep" in args), total
            assert total["landings"] >= position and total["projects"] == 1, total
            position = total["landings"]
        stopping.set()
        for client in clients:
            client.join()
            assert client.wrong is None, client.wrong
        assert position > 100, position
    done = fsck(directory)
    assert done.returncode == 0 and done.stdout.startswith("clean: 1 projects, "), done.stdout
    assert done.stdout.count("\n") == 1 and done.stderr == "", done.stderr


def test_damage(directory):
    with Server("mic-forge", directory) as server:
        for handle in ("demo", "other"):
            assert request(server.port, "POST", "/projects", {"handle": handle}).status == 201
            assert land(server.port, handle, [write("dir/a", "text")]).status == 200
    heads = [name for name in forge.objects(directory) if name.endswith("/head")]
    assert len(heads) == 2, heads
    shutil.copytree(directory, directory + ".whole")
    with open(os.path.join(directory, heads[0]), "r+b") as head:
        head.seek(7)
        head.write(b"\x09")
    done = fsck(directory)
    assert done.returncode == 1, done.stdout
    damage, total = done.stdout.splitlines()
    assert damage.startswith(f"damage: head_differs (monotone): {heads[0]}: "), damage
    assert total.startswith("damaged: 2 projects, 2 landings "), total
    found, total = findings(fsck(directory, "--json", "--deep"))
    assert [(f["type"], f["problem"], f["invariant"], f["key"]) for f in found] == \
        [("damage", "head_differs", "monotone", heads[0])], found
    assert total["damages"] == 1 and not total["clean"] and total["checked"], total
    # The other project is checked all the same, and alone it is clean.
    codes = sorted(fsck(directory, handle).returncode for handle in ("demo", "other"))
    assert codes == [0, 1], codes
    os.makedirs(os.path.join(directory + ".whole", "strange"))
    with open(os.path.join(directory + ".whole", "strange", "file"), "w") as file:
        file.write("not the forge's")
    done = fsck(directory + ".whole")
    assert done.returncode == 0 and done.stdout.startswith("note: unknown_key: strange/file: "), done.stdout
    shutil.rmtree(directory + ".whole")


def errors_told(port):
    return int(re.search(r"^mic_log_errors_total (\d+)$", request(port, "GET", "/metrics").body.decode(), re.M).group(1))


def test_damaged_log_is_made_again(directory):
    """A damaged segment is an alarm where somebody needs it, and is mended from the chain while all runs."""
    with Server("mic-forge", directory) as server:
        assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
        series = [{"goal": f"n{i}", "operations": [write(f"n/{i}", str(i))]} for i in range(250)]
        assert request(server.port, "POST", "/projects/demo/land?wait=30s", {"sessions": series}).status == 200
        logged = lambda: [n for n in forge.objects(directory) if re.search(r"/landing-log/\d+-\d+\.log$", n)]
        wait_until(lambda: len(logged()) == 2)
    segment = os.path.join(directory, logged()[0])
    with open(segment, "rb") as file:
        whole = file.read()
    with open(segment, "wb") as file:
        file.write(whole[:500] + b"?" + whole[501:])
    found, _ = findings(fsck(directory, "--json"))
    assert [f["problem"] for f in found] == ["log_damaged"], found
    with Server("mic-api", directory) as server:
        assert errors_told(server.port) == 0
        assert request(server.port, "GET", "/projects/demo/log?limit=1000").status == 503
        assert errors_told(server.port) == 1
        rebuilt = subprocess.run([forge.program("mic-append"), directory, "--rebuild"], capture_output=True, text=True, timeout=120)
        assert rebuilt.returncode == 0 and "object_damaged" in rebuilt.stderr, rebuilt.stderr
        assert len(request(server.port, "GET", "/projects/demo/log?limit=1000").json["entries"]) == 250
    with open(segment, "rb") as file:
        assert file.read() == whole
    done = fsck(directory)
    assert done.returncode == 0 and done.stdout.startswith("clean: "), done.stdout
    refused = subprocess.run([forge.program("mic-append"), directory, "--rebuild", "--follow"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--follow" in refused.stderr, refused.stderr


def test_what_cannot_be_checked(directory):
    missing = os.path.join(directory, "missing")
    done = fsck(missing)
    assert done.returncode == 2 and "there is no bucket in" in done.stderr and done.stdout == "", done.stderr
    assert not os.path.exists(missing)
    empty = os.path.join(directory, "empty")
    os.mkdir(empty)
    done = fsck(empty)
    assert done.returncode == 2 and "there is no bucket" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(empty, "bucket"))
    for args in ([], [missing, "--deeper"], [missing, "one", "two"]):
        assert fsck(*args).returncode == 2, args
    assert fsck("--help").returncode == 0
    # A store that nobody answers for.
    done = fsck("s3://bucket/place", "--s3-endpoint", f"http://127.0.0.1:{forge.free_port()}", "--s3-tries", "1", "--json")
    assert done.returncode == 2 and "mic-fsck: " in done.stderr, done.stderr


def test_project_that_is_not_there(directory):
    with Server("mic-forge", directory):
        pass
    done = fsck(directory, "nobody", "--json")
    found, total = findings(done)
    assert done.returncode == 2 and found == [] and not total["checked"] and not total["clean"], done.stdout
    assert "no project nobody" in done.stderr, done.stderr
    if os.getuid() != 0:  # nothing is refused to root
        os.chmod(os.path.join(directory, "bucket"), 0)
        done = fsck(directory)
        assert done.returncode == 2 and "refuses" in done.stderr, done.stderr


if __name__ == "__main__":
    forge.main([test_beside_landings, test_damage, test_damaged_log_is_made_again, test_what_cannot_be_checked, test_project_that_is_not_there])

#!/usr/bin/env python3
"""A front that is started by the first connection and ends when it is idle; timers that overlap; the unit files."""

import glob
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import forge
from forge import request, wait_until, write


class Activator(threading.Thread):
    """Does what systemd does for a socket: keeps it, and starts the front when somebody connects and none runs."""

    def __init__(self, directory, *args):
        super().__init__()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        self.command = [forge.program("mic-api"), directory, *args]
        self.log = tempfile.TemporaryFile()
        self.stopping = threading.Event()
        self.running = None
        self.starts = 0
        self.codes = []
        self.start()

    def run(self):
        while not self.stopping.is_set():
            if not select.select([self.socket], [], [], 0.02)[0]:
                continue
            self.starts += 1
            fd = self.socket.fileno()
            # A shell gives the process that becomes the front its own number before it does.
            self.running = subprocess.Popen(
                ["sh", "-c", f'exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"', "sh", *self.command],
                pass_fds=(fd,), stdout=subprocess.DEVNULL, stderr=self.log)
            self.codes.append(self.running.wait())
            self.running = None

    def stop(self):
        self.stopping.set()
        while self.is_alive():
            if self.running:
                self.running.send_signal(signal.SIGTERM)
            self.join(0.05)
        self.socket.close()


def once(name, directory):
    return subprocess.Popen([forge.program(name), directory, "--once"], stderr=subprocess.PIPE)


def test_the_first_connection_starts_it(directory):
    api = Activator(directory, "--idle-exit", "300ms")
    try:
        time.sleep(0.2)
        assert api.starts == 0
        began = time.monotonic()
        assert request(api.port, "GET", "/health").status == 200
        print(f"first answer after {1000 * (time.monotonic() - began):.0f} ms", flush=True)
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        wait_until(lambda: api.codes)
        # It is gone, and what comes next starts it again. Nothing that it accepted is lost.
        for n in range(3):
            body = {"session": {"goal": f"n{n}", "operations": [write(f"f{n}", str(n))]}}
            before = len(api.codes)
            assert request(api.port, "POST", "/projects/demo/land", body).status == 202
            wait_until(lambda: len(api.codes) > before)
        runs = [once(name, directory) for name in ("mic-land", "mic-append") * 2]
        assert all(run.wait(60) == 0 for run in runs)
        assert request(api.port, "GET", "/projects/demo/head").json["position"] == 3
    finally:
        api.stop()
    assert api.starts >= 5 and set(api.codes) == {0}, (api.starts, api.codes)


def test_who_waits_is_not_idle(directory):
    api = Activator(directory, "--idle-exit", "300ms")
    try:
        assert request(api.port, "POST", "/projects", {"handle": "demo"}).status == 201
        body = {"session": {"goal": "one", "operations": [write("a", "1")]}}
        land = threading.Timer(1.5, lambda: once("mic-land", directory).wait(60))
        land.start()
        answer = request(api.port, "POST", "/projects/demo/land?wait=30s", body)
        assert answer.json["state"] == "decided", answer.body
        land.join()
    finally:
        api.stop()
    assert set(api.codes) == {0}, api.codes


def test_connections_while_it_ends(directory):
    """Whoever connects meanwhile is served, by the one that ends or by the next."""
    api = Activator(directory, "--idle-exit", "1ms")
    wrong = []

    def ask():
        for n in range(30):
            try:
                answer = request(api.port, "GET", "/health")
                if answer.status != 200:
                    wrong.append(answer.body)
            except OSError as error:
                wrong.append(error)
            time.sleep(0.04 * (n % 7))

    try:
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        api.stop()
    assert api.starts > 3 and not wrong, (api.starts, wrong)


def test_another_socket_than_loopback_is_refused(directory):
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen(1)
        fd = listening.fileno()
        done = subprocess.run(
            ["sh", "-c", f'exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"', "sh",
             forge.program("mic-api"), directory], pass_fds=(fd,), capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and "cannot listen" in done.stderr, done


def test_unit_files(directory):
    verify = shutil.which("systemd-analyze")
    if not verify:
        return "systemd-analyze is not here"
    for path in glob.glob(os.path.join(forge.ROOT, "ops/systemd/*")):
        with open(path) as unit:
            text = unit.read().replace("/usr/local/bin", os.path.join(forge.BUILD, "bin"))
        with open(os.path.join(directory, os.path.basename(path)), "w") as unit:
            unit.write(text.replace("User=micelio", "User=root"))
    units = sorted(glob.glob(os.path.join(directory, "*")))
    done = subprocess.run([verify, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done


if __name__ == "__main__":
    forge.main([test_the_first_connection_starts_it, test_who_waits_is_not_idle, test_connections_while_it_ends,
                test_another_socket_than_loopback_is_refused, test_unit_files])

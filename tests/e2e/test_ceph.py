#!/usr/bin/env python3
"""ops/dev/ceph, the S3 server of the tests: what is put stays, whatever is killed, and it leaves nothing behind.
An independent client puts and gets."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.client
import botocore.exceptions

import forge

CEPH = os.path.join(forge.ROOT, "ops/dev/ceph")


def ceph(*words, status=0, env=None):
    """Into files: a daemon that kept a pipe would keep whoever reads it waiting."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run([CEPH, *words], stdout=out, stderr=err, timeout=150, env=env, check=False)
        for file in (out, err):
            file.seek(0)
        done.out, done.err = out.read(), err.read()
    assert done.returncode == status, (words, done.returncode, done.out, done.err)
    return done


def variables(directory, *words):
    """What a shell has after the eval."""
    script = f'eval "$({shlex.join([CEPH, "env", directory, *words])})" && env -0'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {name: value for name, value in found.items() if name.startswith("MIC_S3_")}


def client(env):
    # Long enough for an OSD that was killed and is starting again.
    config = botocore.client.Config(read_timeout=30, retries={"max_attempts": 2}, s3={"addressing_style": "path"})
    return boto3.session.Session().client(
        "s3", endpoint_url=env["MIC_S3_ENDPOINT"], region_name=env["MIC_S3_REGION"],
        aws_access_key_id=env["MIC_S3_ACCESS_KEY_ID"], aws_secret_access_key=env["MIC_S3_SECRET_ACCESS_KEY"],
        config=config)


def put(s3, bucket, key, body):
    s3.put_object(Bucket=bucket, Key=key, Body=body)


def get(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(s3, bucket):
    return {found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def processes(directory):
    """{name: pid} of every process that was started for the directory, pid file or not."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if os.path.join(directory, "ceph.conf") in words:
            name = {"ceph-mon": "mon", "ceph-osd": "osd." + words[-2], "radosgw": "rgw"}.get(words[0])
            # What is no daemon is a tool that makes something and ends.
            found[name if "-f" in words and "--mkfs" not in words else " ".join(words) + pid] = int(pid)
    return found


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) >> 10


class Cluster:
    def __init__(self, directory, *words):
        self.directory = os.path.join(directory, "a folder")
        self.words = words

    def __enter__(self):
        print(" ", ceph("start", self.directory, *self.words).out.strip())
        self.env = variables(self.directory)
        self.bucket = self.env["MIC_S3_BUCKET"]
        self.s3 = client(self.env)
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.logs(20))
        ceph("stop", self.directory)
        left = processes(self.directory)
        assert not left, left

    def logs(self, lines_max=1 << 30):
        found = []
        for name in os.listdir(os.path.join(self.directory, "log")):
            with open(os.path.join(self.directory, "log", name), encoding="utf-8", errors="replace") as log:
                lines = [line[:200] for line in log.read().split("\n") if line]
            found += [f"---- {name}", *lines[-lines_max:]]
        return "\n".join(found)

    def again(self):
        ceph("start", self.directory)

    def kill(self, what):
        ceph("kill", self.directory, what)


def test_objects_survive_every_kill(directory):
    with Cluster(directory) as it:
        assert set(it.env) == {"MIC_S3_ENDPOINT", "MIC_S3_REGION", "MIC_S3_BUCKET", "MIC_S3_ACCESS_KEY_ID",
                               "MIC_S3_SECRET_ACCESS_KEY"}, it.env
        idle = processes(it.directory)
        assert set(idle) == {"mon", "osd.0", "rgw"}, idle
        print("  idle, in MiB:", {name: rss_mib(pid) for name, pid in idle.items()})
        body = os.urandom(5 << 20)
        put(it.s3, it.bucket, "large", body)
        put(it.s3, it.bucket, "before", b"before")
        for what in ("osd.0", "rgw", "mon", "all"):
            before = processes(it.directory)
            put(it.s3, it.bucket, f"last before {what}", what.encode())
            it.kill(what)
            assert "signal: Terminated" not in it.logs(), "it could tidy up"
            gone = set(before) if what == "all" else {what}
            assert set(processes(it.directory)) == set(before) - gone, what
            it.again()
            after = processes(it.directory)
            assert set(after) == set(before), after
            # What was not killed runs on: only what is missing is started.
            assert {name for name in after if after[name] != before[name]} == gone, (what, before, after)
            assert variables(it.directory) == it.env, "a client's settings hold for as long as the directory does"
            assert get(it.s3, it.bucket, "large") == body
            assert get(it.s3, it.bucket, f"last before {what}") == what.encode()
        assert keys(it.s3, it.bucket) == {"large", "before", *(f"last before {w}" for w in ("osd.0", "rgw", "mon", "all"))}


def test_one_of_three_copies_is_enough(directory):
    with Cluster(directory, "--osds", "3") as it:
        bodies = {f"k{n}": os.urandom(1000 + n) for n in range(40)}
        for key, body in bodies.items():
            put(it.s3, it.bucket, key, body)
        # Each of them is once the one that is left.
        for left in range(3):
            for killed in {0, 1, 2} - {left}:
                it.kill(f"osd.{killed}")
            assert set(processes(it.directory)) == {"mon", "rgw", f"osd.{left}"}
            begun = time.monotonic()
            for key, body in bodies.items():
                assert get(it.s3, it.bucket, key) == body, key
            assert keys(it.s3, it.bucket) == set(bodies)
            bodies[f"only on {left}"] = b"written to one copy"
            put(it.s3, it.bucket, f"only on {left}", b"written to one copy")
            print(f"  read and written with osd.{left} alone, {time.monotonic() - begun:.1f} s")
            # Returns when what one OSD alone had taken is on the others, which the next round relies on.
            it.again()


def test_stop_and_start(directory):
    with Cluster(directory) as it:
        put(it.s3, it.bucket, "a", b"1")
        ceph("stop", it.directory)
        assert not processes(it.directory)
        assert os.listdir(os.path.join(it.directory, "pid")) == []
        # Its pid file outlived it, and the number is somebody else's by now.
        with subprocess.Popen(["sleep", "1000"]) as other:
            with open(os.path.join(it.directory, "pid/rgw"), "w", encoding="ascii") as file:
                file.write(f"{other.pid} 1\n")
            ceph("kill", it.directory, "rgw")
            ceph("stop", it.directory)
            assert other.poll() is None
            other.kill()
        assert "does not answer" in ceph("env", it.directory, status=1).err
        it.again()
        before = processes(it.directory)
        it.again()
        assert processes(it.directory) == before
        assert get(it.s3, it.bucket, "a") == b"1"
        assert "has 1 OSD" in ceph("start", it.directory, "--osds", "2", status=1).err
        # A folder that was moved is the same server.
        ceph("stop", it.directory)
        it.directory = os.path.join(directory, "moved")
        os.rename(os.path.join(directory, "a folder"), it.directory)
        it.again()
        assert get(it.s3, it.bucket, "a") == b"1"


def test_buckets_and_a_second_server(directory):
    with Cluster(directory) as it, Cluster(os.path.join(directory, "second")) as other:
        more = variables(it.directory, "--bucket", "more")
        assert more == {**it.env, "MIC_S3_BUCKET": "more"}
        put(it.s3, "more", "a", b"1")
        assert variables(it.directory, "--bucket", "more") == more
        assert keys(it.s3, "more") == {"a"} and keys(it.s3, it.bucket) == set()
        assert keys(other.s3, other.bucket) == set()
        wrong = client({**it.env, "MIC_S3_SECRET_ACCESS_KEY": other.env["MIC_S3_SECRET_ACCESS_KEY"]})
        try:
            put(wrong, it.bucket, "b", b"1")
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "SignatureDoesNotMatch", error
        else:
            raise AssertionError("a wrong key was taken")


def test_a_start_that_was_cut_short(directory):
    where = os.path.join(directory, "a folder")
    try:
        for sig in (signal.SIGKILL, signal.SIGTERM):
            for tool, sign in (("ceph-osd", "osd.0/block"), ("radosgw-admin", "pid/osd.0")):
                # A busy machine may let the tool end before this looks.
                assert any(cut_short(where, tool, sign, sig) for _ in range(20)), tool
        with Cluster(directory) as it:
            put(it.s3, it.bucket, "a", b"1")
            assert set(processes(where)) == {"mon", "osd.0", "rgw"}
    finally:
        ceph("stop", where)


def cut_short(where, tool, sign, sig):
    """Ends a start in the middle of what a tool does, which is stopped so that it cannot come to its own end. By the
    sign, a file, it has begun. Gives whether it was met."""
    start = subprocess.Popen([CEPH, "start", where], stdout=subprocess.DEVNULL)

    def tools():
        return [pid for name, pid in processes(where).items() if " " in name]

    def at_work():
        begun = os.path.exists(os.path.join(where, sign))
        return [pid for name, pid in processes(where).items() if begun and name.startswith(tool + " ")]

    met = wait_for(lambda: start.poll() is not None or at_work()) and start.poll() is None
    if met:
        for pid in at_work():
            os.kill(pid, signal.SIGSTOP)
        start.send_signal(sig)
    start.wait(timeout=120)
    if met:
        # What is killed needs a moment to be gone. The daemons that a kill -9 leaves are for the next start.
        assert wait_for(lambda: not (tools() if sig == signal.SIGKILL else processes(where))), (tool, sig, processes(where))
    else:
        ceph("stop", where)
        shutil.rmtree(where)
    return met


def wait_for(done):
    until = time.monotonic() + 30
    while not done() and time.monotonic() < until:
        time.sleep(0.005)
    return done()


def test_what_is_refused(directory):
    def refused(what, *words, status=1, env=None):
        said = ceph(*words, status=status, env=env).err
        assert what in said and "Traceback" not in said, said

    foreign = os.path.join(directory, "foreign")
    os.mkdir(foreign)
    with open(os.path.join(foreign, "precious"), "w", encoding="ascii") as file:
        file.write("x")
    refused("not empty", "start", foreign)
    assert os.listdir(foreign) == ["precious"]
    for words in (["stop"], ["env"], ["kill"]):
        refused("holds no cluster", words[0], os.path.join(directory, "none"), *(["all"] if words == ["kill"] else []))
    assert os.listdir(directory) == ["foreign"]
    refused("usage", "start", status=2)
    refused("usage", "begin", foreign, status=2)
    refused("usage", "start", foreign, "--osds", "0", status=2)
    # A machine without Ceph: only Python is in PATH.
    bare = os.path.join(directory, "bare")
    os.mkdir(bare)
    os.symlink(sys.executable, os.path.join(bare, "python3"))
    refused("ops/dev/setup s3", "start", os.path.join(directory, "ceph"), status=3, env={"PATH": bare})
    with Cluster(directory) as it:
        refused("mon osd.0 rgw", "kill", it.directory, "osd.1", status=2)
        assert set(processes(it.directory)) == {"mon", "osd.0", "rgw"}
        # Somebody else sits on the gateway's port.
        port = int(it.env["MIC_S3_ENDPOINT"].rsplit(":", 1)[1])
        it.kill("rgw")
        with socket.create_server(("127.0.0.1", port)):
            refused(f"port {port}", "start", it.directory)
            assert set(processes(it.directory)) == {"mon", "osd.0"}
        it.again()


if __name__ == "__main__":
    wanted = sys.argv[1:]
    forge.main([value for name, value in list(globals().items())
                if name.startswith("test_") and (not wanted or name in wanted)])

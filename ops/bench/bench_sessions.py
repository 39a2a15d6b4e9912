"""Part i: many sessions that stay open, and a steady stream of writes to them, on one front with a drain beside it."""

import http.client
import json
import pathlib
import re
import subprocess

import rig as r
from rig import figure, table, verdict

SESSIONS, RATE, SECONDS = r.quick(3000, 100000), r.quick(500, 2000), r.quick(5, 300)
CLIENTS = r.quick(64, 2000)
MEMORY_MAX_MIB = 512


def metrics(front):
    """What the front asked its store for: {(verb, kind): n}."""
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
    connection.request("GET", "/api/mic/metrics", headers={"Mic-Author": "bench"})
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(r'^mic_store_requests_total\{verb="(\w+)",kind="(\w+)"\} (\d+)$', text, re.M)
    return {(verb, kind): int(n) for verb, kind, n in found}


def status_kib(pid, name):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def project_make(front):
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
    connection.request("POST", "/api/mic/projects", json.dumps({"handle": "open"}),
                       {"Mic-Author": "bench", "Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"POST /projects: {answer.status} {body[:300]!r}")


class Phases:
    """The lines of session_clients, and what the servers had used when each came."""

    def __init__(self, front, drain):
        self.front, self.drain, self.marks = front, drain, []

    def mark(self):
        pid = self.front.pid
        self.marks.append({"metrics": metrics(self.front), "cpu": r.cpu_us(pid), "drain_cpu": r.cpu_us(self.drain.pid),
                           "peak": status_kib(pid, "VmHWM"), "now": status_kib(pid, "VmRSS"),
                           "drain_peak": status_kib(self.drain.pid, "VmHWM")})

    def between(self, i):
        before, after = self.marks[i]["metrics"], self.marks[i + 1]["metrics"]
        return {what: after[what] - before[what] for what in after if after[what] != before[what]}


def load_run(rig, front, phases):
    args = [r.bench_program("session_clients"), front.address, "open", SESSIONS, RATE, SECONDS, CLIENTS]
    process = rig.start(args, stdout=subprocess.PIPE)
    last = None
    for line in process.stdout:
        last = json.loads(line)
        phases.mark()
        r.note(f"{line.decode().strip()}, front at {phases.marks[-1]['now'] // 1024} MiB")
    process.wait()
    rig.processes.remove(process)
    if process.returncode != 0:
        raise RuntimeError(f"session_clients gives {process.returncode}")
    return last


def requests_of(counts, n):
    """As text, a request's share of each kind, the many first."""
    parts = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{verb} {kind} {figure(count / n)}" for (verb, kind), count in parts if count / n >= 0.0005)


def measure(rig):
    bucket = rig.place("sessions")
    front = r.Listening(rig, [r.program("mic-api"), bucket, "--listen", "127.0.0.1:0", "--log-level", "warn"])
    drain = rig.start([r.bench_program("drain"), bucket], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    phases = Phases(front, drain)
    try:
        project_make(front)
        phases.mark()
        r.note(f"{SESSIONS:,} sessions, then {RATE:,} writes a second for {SECONDS} s")
        found = load_run(rig, front, phases)
        drain.stdin.close()
        drained = json.loads(drain.stdout.read())
    finally:
        rig.stop(drain)
        front.stop()
    writes, opened, wrote, read = found["writes"], phases.between(0), phases.between(1), phases.between(2)
    both = writes + SESSIONS
    rows = []
    for label, n, us, counts, mark in (("opening sessions", SESSIONS, found["open_us"], opened, 1),
                                       ("writes", writes, found["write_us"], wrote, 2),
                                       ("reading all of them back", SESSIONS, found["read_us"], read, 3)):
        before, after = phases.marks[mark - 1], phases.marks[mark]
        rows.append([label, n, n / us * 1e6, (after["cpu"] - before["cpu"]) / n, (after["drain_cpu"] - before["drain_cpu"]) / n,
                     sum(counts.values()) / n, after["now"] / 1024, after["peak"] / 1024])
    table(f"i. {SESSIONS:,} open sessions, {RATE:,} writes a second for {SECONDS} s",
          ["what", "number", "a second", "front CPU us each", "drain CPU us each", "front's store requests each", "front MiB",
           "front peak MiB"], rows,
          [f"One `mic-api` on a directory store, and the stages of mic-land and mic-append in a process beside it. {CLIENTS} "
           "connections; each write is one operation with 100 bytes of content, to the session that was written to longest ago. "
           f"A write is answered when it is durable: p50 {figure(found['p50_us'] / 1000)} ms, p99 {figure(found['p99_us'] / 1000)} ms "
           f"from when it was due. {found['again']:,} were answered 503 and sent again.",
           f"The front's store requests for a write: {requests_of(wrote, writes)}.",
           "The drain's for a write or a start: " + ", ".join(f"{what} {figure(drained[what] / both)}" for what in
                                                               ("get", "put", "delete", "list")) +
           f"; it peaked at {figure(phases.marks[-1]['drain_peak'] / 1024)} MiB."])
    print()
    peak = phases.marks[-1]["peak"] / 1024
    rate = writes / found["write_us"] * 1e6
    print(verdict("writes a second, at least what was asked for", rate, rate >= 0.98 * RATE))
    print(verdict(f"memory of mic-api, MiB, below {MEMORY_MAX_MIB}", peak, peak < MEMORY_MAX_MIB))
    print(verdict("acknowledged writes that are not there", found["lost"], found["lost"] == 0))
    print(verdict("operations or sessions that are otherwise than written", found["odd"], found["odd"] == 0))

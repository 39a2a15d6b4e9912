"""Part g: landings per second on one hot project in a store that is far away, or that takes one put a second to a key; and what a
million landings cost there in requests."""

import json
import re
import subprocess
import time

import rig as r
from rig import median_of, table, verdict

DELAY_MS = 30
INTERVAL_MS = 1000
SECONDS = r.quick(3, 20)
WARM = r.quick(2, 5)
# Dollars for a request: https://aws.amazon.com/s3/pricing/, S3 Standard in us-east-1. A delete is free.
PRICES = {"put": 0.005 / 1000, "list": 0.005 / 1000, "get": 0.0004 / 1000, "delete": 0.0}
CASES = [("far", 512, 0), ("rate", 4096, INTERVAL_MS)]


class FarForge(r.Listening):
    """mic-forge over the slow store on a directory."""

    def __init__(self, rig, bucket, interval_ms):
        kept = dict(rig.env)
        rig.env = dict(rig.env, SLOW_DELAY_MS=str(DELAY_MS), SLOW_PUT_INTERVAL_MS=str(interval_ms))
        try:
            super().__init__(rig, [r.bench_program("slow_forge"), bucket, "--listen", "127.0.0.1:0", "--log-level", "warn"])
        finally:
            rig.env = kept

    def counts(self):
        """What the trace of the store has counted so far, by verb and kind; the requests of these that failed; and the landings
        that clients were told of."""
        text = r.http_get(self.port, "/api/mic/metrics").decode()
        found = {}
        for verb, kind, count in re.findall(r'^mic_store_requests_total\{verb="(\w+)",kind="(\w+)"\} (\d+)$', text, re.M):
            found[verb, kind] = int(count)
        failed, landed = (int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))
                          for name in ("mic_store_failed_total", "mic_sessions_landed_total"))
        return found, failed, landed


def far_run(rig, clients, interval_ms):
    forge = FarForge(rig, rig.place("bucket-g"), interval_ms)
    try:
        rig.call([r.bench_program("land_clients"), "setup", forge.address, "hot"])
        running = rig.start([r.bench_program("land_clients"), "run", forge.address, "hot", clients, SECONDS, forge.pid, WARM],
                            stdout=subprocess.PIPE)
        time.sleep(WARM)
        before, failed_before, landed_before = forge.counts()
        time.sleep(SECONDS - 0.5)
        after, failed_after, landed_after = forge.counts()
        out = running.communicate(timeout=120)[0]
        rig.stop(running)
    finally:
        forge.stop()
    found = json.loads(out)
    landed = max(landed_after - landed_before, 1)
    made = {key: after[key] - before[key] for key in after}
    by_verb = {verb: sum(n for (v, _), n in made.items() if v == verb) for verb in PRICES}
    rate = found["landed"] / (found["us"] / 1e6)
    return {"rate": rate, "p50": found["p50_us"] / 1000, "p99": found["p99_us"] / 1000,
            "batch": landed / max(made["put", "head"], 1), "trip": rate * DELAY_MS / 1000,
            "even": found["least"] / max(found["most"], 1),
            "requests": sum(by_verb.values()) / landed, "cpu": found["server_cpu_us"] / max(found["landed"], 1),
            "peak": found["peak_kib"] / 1024, "failed": failed_after - failed_before, "others": found["others"] + found["conflicts"],
            **{verb: n * 1e6 / landed for verb, n in by_verb.items()},
            "dollars": sum(n * PRICES[verb] for verb, n in by_verb.items()) * 1e6 / landed}


def measure(rig):
    labels = {"far": "one mic-forge, 512 clients", "rate": "the same, one put a second to a key, 4,096 clients"}
    rows = {name: [] for name, _, _ in CASES}
    for number in range(r.RUNS):
        for name, clients, interval in CASES:
            r.note(f"{labels[name]}, run {number + 1} of {r.RUNS}")
            rows[name].append(far_run(rig, clients, interval))
    columns = ("rate", "p50", "p99", "batch", "trip", "even", "requests", "failed", "cpu", "peak")
    out = [[labels[name], *(median_of(rows[name], key) for key in columns)] for name, _, _ in CASES]
    table(f"g. Landings on one hot project, every request to the store takes {DELAY_MS} ms",
          ["who", "landings/s", "p50 ms", "p99 ms", "landings a put of the head", "landings a round trip", "slowest/fastest client",
           "requests a landing", "requests that failed", "server CPU us a landing", "server peak MiB"], out,
          [f"Median (least-greatest) of {r.RUNS} runs of {SECONDS} s. 3 files of 2 KB a landing; each client waits for its answer, then "
           "lands again. A round trip is the time of one request: with one conditional write a landing there could be 1 landing a "
           f"round trip, {1000 / DELAY_MS:.0f}/s, and with one put a second to a key 1/s. Requests are all that the process made, "
           "counted by the store's trace; a put that comes too early for its key is one that failed."])
    costs(rows, labels)
    goals(rows)


def costs(rows, labels):
    naive = {"put": 2e6}
    out = [[labels[name], *(median_of(rows[name], verb) for verb in PRICES), median_of(rows[name], "dollars")] for name, _, _ in CASES]
    out.append(["one object a landing", naive["put"], 0, 0, 0, naive["put"] * PRICES["put"]])
    table("g. What a million landings cost in requests",
          ["who", "puts", "lists", "gets", "deletes", "US dollars"], out,
          ["At AWS's list price for S3 Standard in us-east-1 (aws.amazon.com/s3/pricing): PUT, POST and LIST $0.005 per 1,000, GET $0.0004 "
           "per 1,000, DELETE free. Counted by the store's trace while the clients above landed. One object a landing is the least "
           "that a design without batches makes: a put of the landing's object, and one conditional put of the head, none of them "
           "lost to another writer, and nothing read."])


def goals(rows):
    far = {key: median_of(rows["far"], key).median for key in ("rate", "p50")}
    rate = median_of(rows["rate"], "rate").median
    failed = max(row["failed"] for row in rows["rate"])
    print()
    print(verdict("landings/s, 512 clients, at least 1,000", far["rate"], far["rate"] >= 1000))
    print(verdict("p50 in round trips, under 10", far["p50"] / DELAY_MS, far["p50"] < 10 * DELAY_MS))
    print(verdict("landings/s with one put a second to a key, 4,096 clients, at least 1,000", rate, rate >= 1000))
    print(verdict("requests that the store refused then, none", failed, failed == 0))

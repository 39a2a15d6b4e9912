"""Part e: requests per second of one core, beside nginx serving a file."""

import http.client
import json
import os
import re

import rig as r
from rig import median_of, ratio, table, verdict

SECONDS = r.quick(1, 5)
KIB_FILE = ("0123456789abcdef" * 64)[:1023] + "\n"


def pinned(core):
    """The words before a command that keep it on one core, where there is more than one."""
    return ["taskset", "-c", str(core)] if os.cpu_count() > 1 else []


def wrk(rig, url, pid):
    before = r.cpu_us(pid)
    text = rig.call([*pinned(1), r.needed("wrk"), "-t1", "-c64", f"-d{SECONDS}s", "--latency", url]).stdout.decode()
    cpu = r.cpu_us(pid) - before
    if "Non-2xx" in text:
        raise RuntimeError(f"{url}: {text}")
    requests = int(re.search(r"(\d+) requests in", text).group(1))

    def latency(percent):
        number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text).groups()
        return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), "cpu": cpu / requests,
            "p50": latency(50), "p99": latency(99)}


def file_land(forge):
    """Makes a project with one file of 1 KiB."""
    connection = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=60)
    headers = {"Mic-Author": "bench", "Content-Type": "application/json"}
    session = {"goal": "One file", "operations": [{"op": "write", "path": "file.txt", "seen": None,
                                                  "content": {"text": KIB_FILE}}]}
    for path, body, status in (("/api/mic/projects", {"handle": "small"}, 201),
                               ("/api/mic/projects/small/land?wait=30s", {"session": session}, 200)):
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise RuntimeError(f"{path}: {answer.status} {text[:300]!r}")
    connection.close()


def derived_put(forge):
    """Uploads 1 KiB, and puts a recipe whose result is 1 KiB, too; gives both addresses."""
    connection = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=60)
    headers = {"Mic-Author": "bench"}

    def answer(method, path, body, status):
        connection.request(method, f"/api/mic/projects/small{path}", body, headers)
        got = connection.getresponse()
        text = got.read()
        if got.status != status:
            raise RuntimeError(f"{path}: {got.status} {text[:300]!r}")
        return text

    blob = json.loads(answer("POST", "/blobs", KIB_FILE.encode(), 201))["hash"]
    recipe = {"function": "uppercase", "inputs": [blob]}
    address = json.loads(answer("POST", "/derive/recipes", json.dumps(recipe), 201))["address"]
    if len(answer("GET", f"/derive/{address}", None, 200)) != len(KIB_FILE):
        raise RuntimeError("the result is of another size")
    connection.close()
    return blob, address


def measure(rig):
    r.needed("wrk"), r.needed("nginx")
    place = rig.place("requests")
    root = place / "root"
    root.mkdir()
    (root / "file.txt").write_text(KIB_FILE)
    forge = r.Forge(rig, place / "bucket", "--http-threads", "1", before=pinned(0))
    server = r.Nginx(rig, root, before=pinned(0))
    try:
        file_land(forge)
        blob, address = derived_put(forge)
        head = forge.json("/projects/small/head")
        base = f"{forge.url}/api/mic/projects/small"
        kinds = [
            ("head", "Micelio, GET head", f"{base}/head", forge.pid),
            ("file", "Micelio, GET a file of 1 KiB at the head", f"{base}/files/file.txt", forge.pid),
            ("at", "Micelio, GET a file of 1 KiB at a position", f"{base}/files/file.txt?at={head['position']}",
             forge.pid),
            ("blob", "Micelio, GET a blob of 1 KiB", f"{base}/blobs/{blob}", forge.pid),
            ("derived", "Micelio, GET a result of 1 KiB that is cached", f"{base}/derive/{address}", forge.pid),
            ("nginx", "nginx, GET a file of 1 KiB", f"{server.url}/file.txt", server.worker_pid()),
        ]
        rows = {name: [] for name, _, _, _ in kinds}
        for number in range(r.RUNS):
            r.note(f"requests, run {number + 1} of {r.RUNS}")
            for name, _, url, pid in kinds:
                rows[name].append(wrk(rig, url, pid))
    finally:
        server.stop()
        forge.stop()
    nginx = {key: median_of(rows["nginx"], key) for key in ("rate", "cpu")}
    table("e. Requests per second of one core", ["what", "requests/s", "server CPU us a request", "p50 ms", "p99 ms",
                                                 "requests/s to nginx", "nginx's CPU to its"],
          [[label, *(median_of(rows[name], key) for key in ("rate", "cpu", "p50", "p99")),
            ratio(median_of(rows[name], "rate"), nginx["rate"]), ratio(nginx["cpu"], median_of(rows[name], "cpu"))]
           for name, label, _, _ in kinds],
          [f"wrk with one thread and 64 kept connections on one core, the server with one worker thread on another, {SECONDS} s."])
    print()
    for name, label, _, _ in kinds[:2]:
        value = nginx["cpu"].median / median_of(rows[name], "cpu").median
        print(verdict(f"{label}: requests for a second of CPU, to nginx, at least 0.5", value, value >= 0.5))
    value = median_of(rows["derived"], "rate").median / median_of(rows["blob"], "rate").median
    print(verdict("A cached result of 1 KiB, requests/s to those of a blob, at least 0.5", value, value >= 0.5))

#!/usr/bin/env python3
"""Thousands of damaged requests over raw sockets: whatever comes, the server answers or closes, and lives on.

One run has a fixed seed, one a fresh one, which is printed (MIC_SEED sets it). 20 seconds together, ten times as long with
MIC_LONG=1. Most is said by a build with the sanitizers: MIC_BUILD=build/asan."""

import collections
import concurrent.futures
import json
import os
import random
import re
import select
import socket
import struct
import time

import forge
import openapi
from forge import Server, land, request, write
from wire import Wire

SECONDS = 100 if forge.LONG else 10
FIXED_SEED = 7420
ATTACKERS = 8

INTERESTING = [b"0", b"-1", b"1", b"18446744073709551615", b"18446744073709551616", b"99999999999999999999999", b"4294967296", b"\xff", b"\0", b"%00", b"%",
               b"%2f", b"..", b"//", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b'"', b"\\", b"{", b"}", b"[", b"]", b"null", b"true", b"1e999",
               b"\\u0000", b"\\ud800", b"chunked", b"close", b"bytes=0-", b"bytes=-1", b"*", b"HTTP/1.1", b"HTTP/1.0", b"a" * 300, b"[" * 40, b'{"a":' * 40]


class Seeds:
    """Requests in order, from which the damaged ones are made."""

    def __init__(self, port):
        operation = {"op": "write", "path": "a/b", "content": {"text": "hello"}, "mode": "0755", "seen": None, "base": 1, "key": "k"}
        session = {"goal": "g", "base": 1, "key": "k", "attributes": {"n": {"base64": "AAE="}}, "operations": [
            operation, {"op": "delete", "path": "b", "seen": {"kind": "file", "mode": "0644", "hash": "0" * 64}},
            {"op": "rename", "path": "a", "target": "c", "target_seen": None, "content": {"keep": True}}],
            "guards": [{"path": "a", "seen": None}], "decisions": [{"text": "t"}], "conversation": [{"role": "r", "text": "t"}]}
        land(port, "demo", [write("a", "hello"), write("d/e", "there")])
        self.session, given_up = (request(port, "POST", "/projects/demo/sessions", {"goal": "open"}, author="fuzz").json["session"] for _ in range(2))
        self.blob = request(port, "POST", "/projects/demo/blobs", b"content " * 1000).json["hash"]
        self.tree = request(port, "GET", "/projects/demo/head").json["tree"]
        with Wire(port) as wire:
            wire.send("GET", f"/projects/demo/sessions/{self.session}", None, "Accept: application/vnd.micelio.session")
            bytes_of_session = wire.answer().body
        self.paths = ["/health", "/metrics", "/projects?limit=2&after=a", "/projects/demo", "/projects/demo/head", "/projects/demo/sessions?state=open&limit=3&after=" + "0" * 32,
                      f"/projects/demo/sessions/{self.session}", "/projects/demo/log?path=a&before=3&skip=1&limit=2&all=1", "/projects/demo/tree/d?at=1&after=a&limit=2",
                      "/projects/demo/files/d/e?at=1", "/projects/demo/diff?from=0&to=1&path=d&after=a&limit=2", f"/projects/demo/blobs/{self.blob}",
                      f"/projects/demo/trees/{self.tree}", f"/projects/demo/raw-blobs/{self.blob}"]
        below = f"/projects/demo/sessions/{self.session}"
        self.posts = [("/projects", {"handle": "other"}), ("/projects/demo/sessions", {"goal": "g", "base": 1, "key": "k", "attributes": {"a": {"text": "t"}}}),
                      (below + "/operations", {"operations": [operation]}), (below + "/guards", {"guards": [{"path": "a"}]}),
                      (below + "/decisions", {"decisions": [{"text": "t", "key": "k"}]}), (below + "/conversation", {"conversation": [{"role": "r", "text": "t"}]}),
                      (below + "/rebase", {"base": 1}), (below + "/land?wait=10ms", {"records": "0" * 64, "key": "k"}), (f"/projects/demo/sessions/{given_up}/abandon?wait=10ms", {"reason": "r"}),
                      ("/projects/demo/land?wait=10ms", {"session": session}), ("/projects/demo/land?wait=10ms", {"sessions": [session, session]}),
                      ("/projects/demo/blobs/missing", {"hashes": ["0" * 64, self.blob]}), ("/projects/demo/blobs", b"x" * 3000),
                      ("/projects/demo/land?wait=10ms", struct.pack(">I", len(bytes_of_session)) + bytes_of_session)]

    def draw(self, chance):
        """A whole and good request."""
        headers = [b"Host: x", b"Mic-Author: fuzz"]
        for header in (b"Range: bytes=0-3", b'If-None-Match: "%s", W/"x"' % self.blob.encode(), b"If-Range: \"x\"", b"Mic-Hlc: 12345", b"Expect: 100-continue",
                       b"Accept: application/vnd.micelio.session", b"Accept: application/vnd.micelio.landings", b"Connection: close", b"Mic-Hash: %s" % self.blob.encode()):
            if chance.random() < 0.12:
                headers.append(header)
        if chance.random() < 0.4:
            path = chance.choice(self.paths)
            return self.whole(chance.choice([b"GET", b"GET", b"GET", b"HEAD", b"POST"]), path, headers, b"", False)
        path, body = chance.choice(self.posts)
        if isinstance(body, bytes):
            headers.append(b"Content-Type: application/vnd.micelio.sessions")
        else:
            body = json.dumps(body).encode()
        # The body may be damaged while its length is right: so damage comes behind HTTP, too.
        if chance.random() < 0.5:
            body = damage(body, chance)
        return self.whole(b"POST", path, headers, body, chance.random() < 0.3)

    @staticmethod
    def whole(method, path, headers, body, chunked):
        if chunked:
            headers = headers + [b"Transfer-Encoding: chunked"]
            cut = len(body) // 2
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:cut], body[cut:]) if p) + b"0\r\n\r\n"
        elif method == b"POST":
            headers = headers + [b"Content-Length: %d" % len(body)]
        return method + b" /api/mic" + path.encode() + b" HTTP/1.1\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body


def damage(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice([1, 1, 2, 4, 16, 64]))
        how = chance.randrange(7)
        if how == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del data[at:end]
        elif how == 2:
            data[at:at] = chance.choice(INTERESTING)
        elif how == 3:
            data[at:end] = chance.choice(INTERESTING)
        elif how == 4:
            data[at:at] = data[at:end] * chance.randrange(1, 20)
        elif how == 5:
            data[at:end] = chance.randbytes(end - at)
        else:
            numbers = list(re.finditer(rb"\d+", bytes(data)))
            if numbers:
                one = chance.choice(numbers)
                data[one.start():one.end()] = chance.choice(INTERESTING[:7])
    return bytes(data)


def exchange(port, data, chance):
    """Sends in a few pieces; reads what comes until it is quiet or closed. What came need not be HTTP of one request only."""
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice([0, 0, 1, 3])))
        try:
            for begin, end in zip([0, *cuts], [*cuts, len(data)]):
                connection.sendall(data[begin:end])
            how = chance.random()
            if how < 0.1:
                return came
            if how < 0.5:
                connection.shutdown(socket.SHUT_WR)
            while select.select([connection], [], [], 0.03)[0]:
                piece = connection.recv(65536)
                if not piece:
                    break
                came += piece
        except TimeoutError:
            raise
        except OSError:  # the server has closed it
            pass
    return came


def held(data, came, counts):
    """What is certain of any answer: a status that there is, and errors in their form."""
    if not came:
        counts["nothing"] = counts.get("nothing", 0) + 1
        return
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", came)
    assert match, came[:200]
    status = int(match[1])
    counts[status] = counts.get(status, 0) + 1
    assert status < 500 or status in (503, 505), came[:500]
    head, _, body = came.partition(b"\r\n\r\n")
    if b"Mic-Hlc: " not in head:
        # The library's own words for what is not HTTP; it closes then.
        assert status in (100, 400, 413, 414, 431, 505) and (status == 100 or b"Connection: close" in head), came[:500]
        return
    size = re.search(rb"\r\nContent-Length: (\d+)", head)
    if b"HEAD" not in data and status >= 400 and b"application/json" in head and size and len(body) >= int(size[1]) > 0:
        wrong = openapi.complaint(json.loads(body[:int(size[1])]), {"$ref": "#/components/schemas/ResultOrError"})
        assert wrong is None, (wrong, came[:500])


def attack(server, seeds, chance, until, counts):
    """One attacker; gives what went wrong, or None."""
    while time.monotonic() < until:
        data = b"".join(seeds.draw(chance) for _ in range(chance.choice([1, 1, 1, 2, 5])))
        if chance.random() < 0.7:
            data = damage(data, chance)
        counts["sent"] = counts.get("sent", 0) + 1
        try:
            held(data, exchange(server.port, data, chance), counts)
            assert server.process.poll() is None, "it died"
        except Exception as wrong:
            return f"{wrong!r} after {data[:4000]!r}"
    return None


def fuzz(directory, seed):
    print(f"seed {seed}", flush=True)
    with Server("mic-forge", directory) as s:
        assert request(s.port, "POST", "/projects", {"handle": "demo"}).status == 201
        seeds = Seeds(s.port)
        until = time.monotonic() + SECONDS
        counts = [{} for _ in range(ATTACKERS)]
        with concurrent.futures.ThreadPoolExecutor(ATTACKERS) as pool:
            wrong = list(pool.map(lambda i: attack(s, seeds, random.Random(f"{seed} {i}"), until, counts[i]), range(ATTACKERS)))
        assert wrong.count(None) == ATTACKERS, "\n".join(w for w in wrong if w) + s.log_text()[-6000:]
        assert request(s.port, "GET", "/health").json["status"] == "ok"
        again = land(s.port, "demo", [write("after", "all")])
        assert again.status == 200, again.body
    total = sum((collections.Counter(c) for c in counts), collections.Counter())
    print(", ".join(f"{k}: {v}" for k, v in sorted(total.items(), key=str)), flush=True)
    assert total["sent"] > 200 and all(total[status] > 0 for status in (200, 202, 400, 404)), total


def test_fixed_seed(directory):
    fuzz(directory, FIXED_SEED)


def test_fresh_seed(directory):
    fuzz(directory, int(os.environ.get("MIC_SEED") or time.time_ns() % 1000000007))


if __name__ == "__main__":
    forge.main([test_fixed_seed, test_fresh_seed])

#!/usr/bin/env python3
"""The HTTP front on the wire: connections kept and closed, bodies in all forms, ranges and entity tags, waiting requests whose
client or server goes away, and memory that stays bounded."""

import hashlib
import json
import re
import socket
import struct
import threading
import time

import forge
from forge import Server, write
from openapi import land, request
from wire import HEADER, Wire, ask


def start(directory, *args, name="mic-forge"):
    server = Server(name, directory, *args)
    assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
    return server


def code(reply):
    return json.loads(reply.body)["error"]["code"]


def body_of(goal="g", **more):
    return json.dumps({"session": {"goal": goal, **more}}).encode()


def test_connection_is_kept_after_an_error(directory):
    with start(directory) as s, Wire(s.port) as wire:
        cases = [("GET", "/nothing", None, 404), ("GET", "/nothing", b"GET /x HTTP/1.1\r\n\r\n", 404), ("DELETE", "/projects/demo/head", b"hello", 405),
                 ("POST", "/projects/none/land", b"x" * 100000, 404), ("POST", "/projects/demo/land", b"{", 400), ("GET", "/projects/demo/head", b"body", 200),
                 ("POST", "/projects/demo/land?wait=soon", b"{}", 400), ("POST", "/projects/demo/land", None, 411), ("HEAD", "/nothing", None, 404),
                 ("PUT", "/projects/demo/land", b"x", 405), ("GET", "/projects/demo/files/none", None, 404)]
        for method, path, body, status in cases * 2:
            wire.send(method, path, body)
            reply = wire.answer(method)
            assert reply.status == status and int(reply.headers["mic-hlc"]) > 0, (method, path, reply)
            assert "connection" not in reply.headers, (method, path, reply)
        wire.send("OPTIONS", "/projects/demo/sessions")
        assert wire.answer().headers["allow"] == "GET, HEAD, POST"
        wire.send("GET", "/projects/demo/land")
        assert wire.answer().headers["allow"] == "POST"


def test_answer_comes_before_a_long_body(directory):
    with start(directory) as s:
        for extra in (["Expect: 100-continue", "Content-Length: 5"], ["Content-Length: 99999999999"]):
            with Wire(s.port, timeout=10) as wire:
                wire.send("POST", "/projects/none/land", None, *extra)
                reply = wire.answer()
                assert reply.status in (404, 413) and reply.headers["connection"] == "close" and wire.closed(), reply
        # Who is nobody does not get to upload anything first.
        with Wire(s.port, timeout=10) as wire:
            wire.socket.sendall(b"POST /api/mic/projects/demo/blobs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            reply = wire.answer()
            assert reply.status == 400 and code(reply) == "author_missing", reply
        with Wire(s.port) as wire:
            wire.send("POST", "/projects/demo/blobs", None, "Expect: 100-continue", "Content-Length: 5")
            assert wire.answer().status == 100
            wire.socket.sendall(b"hello")
            assert wire.answer().status == 201
        # A client that sends all before it reads gets its answer, too, and the connection is kept.
        with Wire(s.port) as wire:
            wire.send("POST", "/projects/demo/land", b"x" * (33 << 20))
            assert wire.answer().status == 413
            wire.send("GET", "/health")
            assert wire.answer().status == 200


def test_bodies_that_are_framed_strangely(directory):
    with start(directory) as s:
        def sent(head, body=b"", method=b"POST", path=b"/projects/demo/land?wait=5s"):
            with Wire(s.port, timeout=20) as wire:
                wire.socket.sendall(method + b" /api/mic" + path + b" HTTP/1.1\r\n" + HEADER + head + b"\r\n\r\n" + body)
                reply = wire.answer()
                while reply.status == 100:
                    reply = wire.answer()
                return reply, wire.closed() if reply.headers.get("connection") == "close" else False
        body = body_of()
        halves = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:]))
        assert sent(b"Transfer-Encoding: chunked", halves + b"0\r\n\r\n")[0].status == 200
        assert sent(b"transfer-encoding: Chunked", halves + b"0\r\nTrailer: x\r\n\r\n")[0].status == 200
        for head in (b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                     b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Content-Length: 2\r\nContent-Length: 9", b"Content-Length: 3\r\nTransfer-Encoding: identity"):
            for method, path in ((b"POST", b"/projects/demo/land"), (b"GET", b"/health"), (b"GET", b"/nothing")):
                reply, closed = sent(head, b"{}", method, path)
                assert reply.status == 400 and code(reply) == "bad_header" and closed, (head, method, reply)
        with Wire(s.port, timeout=20) as wire:
            wire.send("POST", "/projects/demo/land", None, "Transfer-Encoding: chunked")
            wire.socket.sendall(b"zz\r\n")
            assert wire.closed() and b" 400 " in wire.left
        # More than a request may have, in chunks, is read to its end and answered.
        big = b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
        reply, _ = sent(b"Transfer-Encoding: chunked", big * 40 + b"0\r\n\r\n")
        assert reply.status == 413 and code(reply) == "request_too_large", reply
        # What has no end at all is cut off some time.
        with Wire(s.port, timeout=60) as wire:
            wire.send("POST", "/projects/demo/land", None, "Transfer-Encoding: chunked")
            try:
                for _ in range(1000):
                    wire.socket.sendall(big)
                raise AssertionError("a gigabyte was read")
            except ConnectionError:
                pass
        assert request(s.port, "GET", "/health").json["status"] == "ok"


def test_pipelined_requests_answer_in_order(directory):
    with start(directory) as s, Wire(s.port) as wire:
        for i in range(20):
            wire.send("POST", "/projects/demo/land?wait=20s", body_of(f"n{i}", operations=[write("f", str(i), seen=None) if i == 0 else write(f"f{i}", "x")]))
            wire.send("GET", "/projects/demo/head")
            wire.send("GET", "/nothing")
        for i in range(20):
            landed = wire.answer()
            assert landed.status == 200 and json.loads(landed.body)["results"][0]["position"] == i + 1, landed
            assert json.loads(wire.answer().body)["position"] == i + 1
            assert wire.answer().status == 404


def test_paths_and_queries_on_the_wire(directory):
    with start(directory) as s:
        p = s.port
        names = ["a", "d/x y+z%&=?#", "ü/é", "d/%41", "d/+"]
        assert land(p, "demo", [write(n, n) for n in names]).status == 200
        quote = lambda text, keep=b"/": "".join(chr(b) if b in keep or chr(b).isalnum() and b < 128 else f"%{b:02x}" for b in text.encode())
        for name in names:
            assert ask(p, "GET", f"/projects/demo/files/{quote(name)}").body == name.encode(), name
            assert ask(p, "GET", f"/projects/demo/files/{quote(name, b'')}").body == name.encode(), name
            log = ask(p, "GET", f"/projects/demo/log?path={quote(name, b'')}")
            assert len(json.loads(log.body)["entries"]) == 1, (name, log)
        assert ask(p, "GET", "/projects/demo/files/ü/é").body == "ü/é".encode()
        for path in ("/projects/demo/files/a%00b", "/projects/demo%00/files/a", "/projects/demo/log?path=a%00b", "/projects/demo/tree/?after=%00"):
            reply = ask(p, "GET", path)
            assert reply.status == 400 and code(reply) == "bad_url", (path, reply)
        for path in ("%ff", "a%80", "a/%c3%28", "a//b", "../a", "a/./b", ".git/x"):
            for where in (f"/projects/demo/files/{path}", f"/projects/demo/tree/{path}", f"/projects/demo/log?path={path}", f"/projects/demo/diff?from=0&path={path}"):
                assert ask(p, "GET", where).status == 422, where
        longest = "%6c" * 255 + ("/" + "%6c" * 255) * 15
        assert ask(p, "GET", f"/projects/demo/files/{longest}").status == 404
        assert ask(p, "GET", f"/projects/demo/diff?from=0&path={longest}&after={longest}").status in (200, 404)
        assert ask(p, "GET", f"/projects/demo/files/{longest}/x").status == 422
        # %zz is no encoding, and stands for itself.
        assert ask(p, "GET", "/projects/demo/files/%zz").status == 404
        for query in ("limit=0", "limit=-1", "limit=", "limit=1e3", "limit=99999999999999999999", "limit=100000", "limit=+5"):
            for path in ("/projects", "/projects/demo/sessions", "/projects/demo/log", "/projects/demo/tree/", "/projects/demo/diff?from=0&"):
                reply = ask(p, "GET", path + ("" if path.endswith("&") else "?") + query)
                assert reply.status == 400 and code(reply) == "bad_query", (path, query, reply)
        for path in ("/projects/demo/tree/?at=x", "/projects/demo/files/a?at=-1", "/projects/demo/diff", "/projects/demo/diff?from=x", "/projects/demo/diff?from=0&to=",
                     "/projects/demo/log?before=x", "/projects/demo/log?skip=x", "/projects/demo/log?all=yes", "/projects/demo/sessions?after=x", "/projects/demo/sessions?state=landed"):
            reply = ask(p, "GET", path)
            assert reply.status == 400 and code(reply) == "bad_query", (path, reply)
        for wait in ("99999999999999999999999s", "99999999999ms", "1", "0", "10ms", "0s"):
            assert ask(p, "POST", f"/projects/demo/land?wait={wait}", body_of("w")).status in (200, 202), wait
        for wait in ("", "s", "1m", "-1", "1.5s", "1 s"):
            reply = ask(p, "POST", f"/projects/demo/land?wait={quote(wait)}", body_of("w"))
            assert reply.status == 400 and code(reply) == "bad_query", (wait, reply)


def test_ranges_and_entity_tags(directory):
    with start(directory) as s:
        p = s.port
        large = bytes(range(256)) * 4000
        uploaded = request(p, "POST", "/projects/demo/blobs", large).json["hash"]
        assert land(p, "demo", [write("five", "hello"), write("none", ""), {"op": "write", "path": "large", "content": {"blob": uploaded}}]).status == 200
        tag = '"' + hashlib.sha256(b"hello").hexdigest() + '"'
        def get(path, *headers, method="GET"):
            return ask(p, method, f"/projects/demo/{path}", None, *headers)
        for path, data in (("files/five", b"hello"), ("files/large", large), (f"blobs/{uploaded}", large)):
            size = len(data)
            for text, first, end in (("0-", 0, size), ("1-2", 1, 3), ("-2", size - 2, size), (f"-{size + 9}", 0, size), (f"{size - 1}-{size + 99}", size - 1, size),
                                     ("0-0", 0, 1), (f"3-{2 ** 64 - 1}", 3, size)):
                part = get(path, f"Range: bytes={text}")
                assert part.status == 206 and part.body == data[first:end], (path, text, part)
                assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{size}", part
            for text in (f"{size}-", "99999999999-", "-0"):
                part = get(path, f"Range: bytes={text}")
                assert part.status == 416 and part.headers["content-range"] == f"bytes */{size}" and code(part) == "range_not_satisfiable", part
                assert "immutable" not in part.headers["cache-control"], part
            for text in ("bytes=2-1", "bytes=a-b", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes 0-1", f"bytes={2 ** 64}-"):
                whole = get(path, f"Range: {text}")
                assert whole.status == 200 and whole.body == data, (path, text, whole)
            head = get(path, "Range: bytes=0-0", method="HEAD")
            assert head.status == 200 and head.headers["content-length"] == str(size) and not head.body, head
        for text in ("0-", "0-0", "-5"):
            nothing = get("files/none", f"Range: bytes={text}")
            assert nothing.status == 200 and nothing.headers["content-length"] == "0", nothing
        assert get("files/five", "Range: bytes=1-2", f"If-Range: {tag}").status == 206
        for other in ('"x"', "W/" + tag, "Sat, 21 Nov 2026 05:05:20 GMT"):
            assert get("files/five", "Range: bytes=1-2", f"If-Range: {other}").status == 200, other
        for listed in (tag, "W/" + tag, f'"x", {tag}', f'"a,b" , W/{tag},"y"', "*", f'"x",,{tag}'):
            for method in ("GET", "HEAD"):
                same = get("files/five", f"If-None-Match: {listed}", method=method)
                assert same.status == 304 and same.headers["etag"] == tag and not same.body, (listed, same)
        for listed in ('"x"', tag[1:-1], f'"x{tag[1:]}', f"{tag[:-1]}x\"", f'"{tag}', "", "W/"):
            assert get("files/five", f"If-None-Match: {listed}").status == 200, listed
        head = get("head")
        assert get("head", f"If-None-Match: {head.headers['etag']}").status == 304
        assert get("head", f"If-None-Match: {tag}").status == 200


def test_log_pages_inside_a_position(directory):
    """Many answers that landed nothing lie under one position: pages end among them, and none is lost or given twice."""
    with start(directory) as s:
        p = s.port
        first = land(p, "demo", [write("f", "0")]).json["results"][0]["session"]
        lost = [{"goal": f"lost {i}", "operations": [write("f", f"v{i}", seen=None)]} for i in range(57)]
        want = [first]
        for one in lost:
            answer = land(p, "demo", one["operations"], goal=one["goal"])
            assert answer.status == 409, answer.body
            want.insert(0, answer.json["results"][0]["session"])
        want.insert(0, land(p, "demo", [write("g", "0")], goal="won").json["results"][0]["session"])
        for limit in (1, 7, 10, 58, 59, 1000):
            found, cursor, pages = [], "", 0
            while cursor is not None:
                page = request(p, "GET", f"/projects/demo/log?all=1&limit={limit}{cursor}").json
                assert len(page["entries"]) <= limit, (limit, page)
                found += [e["session"] for e in page["entries"]]
                cursor = f"&before={page['next']}&skip={page.get('next_skip', 0)}" if "next" in page else None
                pages += 1
            assert found == want and pages <= len(want) // limit + 1, (limit, pages, found)
        plain = request(p, "GET", "/projects/demo/log?limit=1").json
        assert [e["goal"] for e in plain["entries"]] == ["won"] and plain["next"] == 1
        rest = request(p, "GET", f"/projects/demo/log?limit=1&before=1&skip={plain.get('next_skip', 0)}").json
        assert [e["goal"] for e in rest["entries"]] == ["a change"] and "next" not in rest, rest


def test_landing_answers_as_bytes(directory):
    with start(directory) as s:
        p = s.port
        def ask_bytes(body, wait="20s"):
            reply = ask(p, "POST", f"/projects/demo/land?wait={wait}", json.dumps(body).encode(), "Accept: text/html, application/vnd.micelio.landings;q=0.9")
            records, at = [], 0
            while at < len(reply.body):
                size = struct.unpack_from(">I", reply.body, at)[0]
                records.append(reply.body[at + 4:at + 4 + size])
                at += 4 + size
            return reply, records
        reply, records = ask_bytes({"sessions": [{"goal": "a", "operations": [write("a", "1")]}, {"goal": "b", "operations": [write("b", "1")]}]})
        assert reply.status == 200 and reply.headers["content-type"] == "application/vnd.micelio.landings", reply
        assert [r[:4] for r in records] == [b"MLRC"] * 2 and all(r[17:33].hex() == reply.headers["mic-request"] for r in records), records
        reply, records = ask_bytes({"session": {"goal": "c", "operations": [write("a", "2", seen=None)]}})
        assert reply.status == 409 and len(records) == 1, reply
        reply, records = ask_bytes({"session": {"goal": "c", "base": 99}})
        assert reply.status == 422 and code(reply) == "base_ahead", reply
        assert ask(p, "POST", "/projects/demo/land?wait=9s", body_of(), "Accept: application/vnd.micelio.landings;q=0").headers["content-type"] == "application/json"


def test_clients_that_go_away_while_they_wait(directory):
    """mic-api lands nothing, so its clients wait to the end; the answers then find nobody."""
    with start(directory, name="mic-api") as s:
        p = s.port
        waiting = []
        for i in range(60):
            wire = Wire(p)
            wire.send("POST", "/projects/demo/land?wait=1500ms", body_of(f"w{i}", operations=[write(f"w{i}", "x")]))
            waiting.append(wire)
        time.sleep(0.4)
        for i, wire in enumerate(waiting):
            if i % 3 == 0:
                wire.socket.close()
            elif i % 3 == 1:  # the other end learns it at once
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                wire.socket.close()
        for wire in waiting[2::3]:
            reply = wire.answer()
            assert reply.status == 202 and json.loads(reply.body)["state"] == "pending", reply
            wire.send("GET", "/projects/demo/head")
            assert wire.answer().status == 200
        assert request(p, "GET", "/health").json["status"] == "ok"
        assert s.stop() == 0


def test_waiting_outlasts_the_idle_time(directory):
    with start(directory, "--http-idle-ms", "1s", name="mic-api") as s, Wire(s.port) as wire:
        wire.send("POST", "/projects/demo/land?wait=3s", body_of())
        assert wire.answer().status == 202
        wire.send("GET", "/health")
        assert wire.answer().status == 200
        assert wire.closed()


def test_stopping_answers_who_waits(directory):
    """Whoever waits when the server is told to end gets an answer, and the end is clean."""
    for name in ("mic-api", "mic-forge"):
        inner = f"{directory}/{name}"
        s = start(inner, name=name)
        done, replies = threading.Event(), []
        def hurry():
            i = 0
            while not done.is_set():
                i += 1
                try:
                    replies.append(request(s.port, "POST", "/projects/demo/land?wait=20s", {"session": {"goal": f"h{i}", "operations": [write(f"h{i}", "x")]}}))
                except (OSError, EOFError, forge.http.client.HTTPException):
                    return
        waiting = []
        if name == "mic-api":
            for i in range(100):
                wire = Wire(s.port)
                wire.send("POST", "/projects/demo/land?wait=50s", body_of(f"w{i}"))
                waiting.append(wire)
            sid = request(s.port, "POST", "/projects/demo/sessions", {"goal": "open"}).json["session"]
            wire = Wire(s.port)
            wire.send("POST", f"/projects/demo/sessions/{sid}/land?wait=50s", b"{}")
            waiting.append(wire)
        threads = [threading.Thread(target=hurry) for _ in range(4)]
        if name == "mic-forge":
            for thread in threads:
                thread.start()
        slow = Wire(s.port)
        slow.socket.sendall(b"POST /api/mic/projects/demo/land HTTP/1.1\r\nContent-Length: 100\r\n" + HEADER + b"\r\n{")
        time.sleep(0.5)
        assert s.stop() == 0, name
        done.set()
        for wire in waiting:
            reply = wire.answer()
            assert reply.status == 202 and json.loads(reply.body)["state"] == "pending", reply
        for thread in threads:
            if thread.ident:
                thread.join()
        assert all(r.status in (200, 202, 503) for r in replies), [r.status for r in replies if r.status not in (200, 202, 503)]


def memory_kib(server, field="VmRSS"):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(rf"{field}:\s+(\d+)", status.read()).group(1))


def test_memory_of_large_requests(directory):
    """What a request may make the server hold is bounded before it is held, and given back."""
    with start(directory) as s:
        p = s.port
        before = memory_kib(s)
        size = (32 << 20) - 100
        def sessions(unit, head=b'{"sessions":[', tail=b"]}"):
            return head + b",".join([unit] * (size // (len(unit) + 1))) + tail
        operation = b'{"op":"delete","path":"a/b"}'
        hostile = {
            "empty objects": sessions(b"{}"), "empty arrays": sessions(b"[]"), "numbers": sessions(b"1"), "texts": sessions(b'""'),
            "operations": sessions(operation, b'{"session":{"goal":"g","operations":['), "hashes": sessions(b'""', b'{"hashes":['),
            "one text": b'{"session":{"goal":"' + b"g" * (size - 40) + b'"}}', "spaces": b"{" + b" " * (size - 10) + b"}",
        }
        for what, body in hostile.items():
            path = "/projects/demo/blobs/missing" if what == "hashes" else "/projects/demo/land?wait=20s"
            answer = request(p, "POST", path, body)
            assert answer.status in (400, 413, 422), (what, answer.status, answer.body)
            print(f"{what}: {answer.status} {answer.code}, peak {s.rss_peak_kib() >> 10} MiB, now {memory_kib(s) >> 10} MiB", flush=True)
        many = [write(f"d{i // 100}/{i}", "x" * 40) for i in range(200000)]
        answer = request(p, "POST", "/projects/demo/land?wait=60s", {"session": {"goal": "g", "operations": many}}, timeout=120)
        assert answer.status == 200, answer.body[:300]
        print(f"{len(many)} files in JSON: peak {s.rss_peak_kib() >> 10} MiB, now {memory_kib(s) >> 10} MiB", flush=True)
        binary = b"".join(struct.pack(">I", 60) + b"MSES\0\0\0\1" + b"\xff" * 52 for _ in range(size // 64))
        answer = request(p, "POST", "/projects/demo/land?wait=20s", binary, {"Content-Type": "application/vnd.micelio.sessions"})
        assert answer.status == 400 and answer.code == "malformed_session", answer.body
        sid = request(p, "POST", "/projects/demo/sessions", {"goal": "g"}).json["session"]
        assert request(p, "POST", f"/projects/demo/sessions/{sid}/operations", {"operations": [write("a", "x" * 100)]}).status == 202
        one = ask(p, "GET", f"/projects/demo/sessions/{sid}", None, "Accept: application/vnd.micelio.session").body
        binary = (struct.pack(">I", len(one)) + one) * min(size // (len(one) + 4), 100000)
        answer = request(p, "POST", "/projects/demo/land?wait=20s", binary, {"Content-Type": "application/vnd.micelio.sessions"})
        assert answer.status == 422 and answer.code == "session_twice", answer.body
        print(f"{len(binary) >> 20} MiB of sessions: peak {s.rss_peak_kib() >> 10} MiB, now {memory_kib(s) >> 10} MiB", flush=True)
        if not forge.SANITIZED:
            assert s.rss_peak_kib() < 1200 << 10, s.rss_peak_kib()
            time.sleep(1)
            assert memory_kib(s) < before + (300 << 10), (before, memory_kib(s))


def test_memory_of_many_slow_requests(directory):
    n, each = (200, 4 << 20) if forge.SANITIZED else (1000, 1 << 20)
    with start(directory) as s:
        p = s.port
        slow = []
        for i in range(n):
            wire = Wire(p)
            path = "blobs" if i % 2 else "land"
            wire.send("POST", f"/projects/demo/{path}", None, f"Content-Length: {each * 4}")
            slow.append(wire)
        piece = b'"' + b"x" * (1 << 16)
        for _ in range(each // len(piece)):
            for wire in slow:
                wire.socket.sendall(piece)
        # Small ones are served all the same.
        assert land(p, "demo", [write("a", "1")]).status == 200
        assert request(p, "GET", "/projects/demo/head").json["position"] == 1
        peak = s.rss_peak_kib() >> 10
        print(f"{n} slow requests that have sent {each * n >> 20} MiB: peak {peak} MiB", flush=True)
        assert peak < 900 or forge.SANITIZED, peak
        refused = 0
        for wire in slow[-20:]:
            wire.socket.sendall(b"x" * (each * 4 - each // len(piece) * len(piece)))
            reply = wire.answer()
            refused += reply.status == 503 and code(reply) == "busy" and reply.headers["retry-after"] == "1"
        assert refused > 0 or each * n < 512 << 20
        for wire in slow:
            wire.socket.close()
        # What they held is free again: as much as before finds room.
        deadline = time.monotonic() + 20
        while request(p, "POST", "/projects/demo/land?wait=20s", body_of("g" * (30 << 20))).code == "busy":
            assert time.monotonic() < deadline
            time.sleep(0.1)


if __name__ == "__main__":
    forge.main([test_connection_is_kept_after_an_error, test_answer_comes_before_a_long_body, test_bodies_that_are_framed_strangely,
                test_pipelined_requests_answer_in_order, test_paths_and_queries_on_the_wire, test_ranges_and_entity_tags,
                test_log_pages_inside_a_position, test_landing_answers_as_bytes, test_clients_that_go_away_while_they_wait,
                test_waiting_outlasts_the_idle_time, test_stopping_answers_who_waits, test_memory_of_large_requests,
                test_memory_of_many_slow_requests])

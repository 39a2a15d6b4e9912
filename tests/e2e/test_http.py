#!/usr/bin/env python3
"""The HTTP front from outside: every endpoint, and everything that a client can do wrong."""

import hashlib
import http.client
import json
import os
import random
import re
import resource
import socket
import subprocess
import time

import forge
from forge import Server, write
from openapi import land, request


def sha(data):
    return hashlib.sha256(data).hexdigest()


def start(directory, *args):
    server = Server("mic-forge", directory, *args)
    assert request(server.port, "POST", "/projects", {"handle": "demo"}).status == 201
    return server


def test_projects(directory):
    with start(directory) as s:
        p = s.port
        taken = request(p, "POST", "/projects", {"handle": "demo"})
        assert taken.status == 409 and taken.code == "handle_taken", taken.body
        for bad in ("", "Upper", "a/b", "x" * 101, ".dot"):
            answer = request(p, "POST", "/projects", {"handle": bad})
            assert answer.status == 422 and answer.json["error"]["field"] == "handle", answer.body
        assert request(p, "POST", "/projects", {"handle": "second"}).status == 201
        assert [x["handle"] for x in request(p, "GET", "/projects").json["projects"]] == ["demo", "second"]
        first = request(p, "GET", "/projects?limit=1").json
        assert first["next"] == "demo"
        assert request(p, "GET", "/projects?after=demo").json["projects"][0]["handle"] == "second"
        one = request(p, "GET", "/projects/demo").json
        assert request(p, "GET", f"/projects/{one['id']}/head").json["position"] == 0
        missing = request(p, "GET", "/projects/nowhere/head")
        assert missing.status == 404 and missing.code == "not_found"
        assert int(missing.headers["Mic-Hlc"]) > 0


def test_tree_files_diff_log(directory):
    with start(directory) as s:
        p = s.port
        assert land(p, "demo", [write("src/a.c", "a1\n"), write("b", "b\n", mode="0755"),
                                {"op": "write", "path": "l", "kind": "link", "content": {"text": "b"}}]).status == 200
        assert land(p, "demo", [write("src/a.c", "a2\n"), {"op": "delete", "path": "b"}], goal="second").status == 200
        entries = {e["name"]: e for e in request(p, "GET", "/projects/demo/tree/?at=1").json["entries"]}
        assert entries["b"]["mode"] == "0755" and entries["l"]["kind"] == "link" and entries["src"]["files"] == 1
        inner = request(p, "GET", "/projects/demo/tree/src").json["entries"][0]
        assert (inner["size"], inner["stamp"], inner["hash"]) == (3, 2, sha(b"a2\n"))
        file = request(p, "GET", "/projects/demo/files/src/a.c")
        assert file.body == b"a2\n" and file.headers["ETag"] == f'"{sha(file.body)}"'
        assert request(p, "GET", "/projects/demo/files/src/a.c?at=1").body == b"a1\n"
        part = request(p, "GET", "/projects/demo/files/src/a.c", headers={"Range": "bytes=1-"})
        assert part.status == 206 and part.body == b"2\n" and part.headers["Content-Range"] == "bytes 1-2/3"
        assert request(p, "GET", "/projects/demo/files/src/a.c", headers={"Range": "bytes=9-"}).status == 416
        same = request(p, "GET", "/projects/demo/files/src/a.c", headers={"If-None-Match": file.headers["ETag"]})
        assert same.status == 304 and same.body == b""
        assert request(p, "GET", "/projects/demo/files/src").code == "is_a_directory"
        assert request(p, "GET", "/projects/demo/tree/src/a.c").code == "not_a_directory"
        assert request(p, "GET", "/projects/demo/files/no").status == 404
        assert request(p, "GET", "/projects/demo/files/a/../b").status == 422
        assert request(p, "GET", "/projects/demo/tree/?at=99").code == "position_ahead"
        changes = request(p, "GET", "/projects/demo/diff?from=1&to=2").json["changes"]
        assert [(c["path"], c["a"] is None, c["b"] is None) for c in changes] == [("b", False, True), ("src/a.c", False, False)]
        assert [c["path"] for c in request(p, "GET", "/projects/demo/diff?from=0&path=src").json["changes"]] == ["src/a.c"]
        log = request(p, "GET", "/projects/demo/log").json["entries"]
        assert [e["goal"] for e in log] == ["second", "a change"]
        assert [e["position"] for e in request(p, "GET", "/projects/demo/log?path=b").json["entries"]] == [2, 1]
        page = request(p, "GET", "/projects/demo/log?limit=1").json
        assert page["next"] == 1 and request(p, "GET", "/projects/demo/log?before=1").json["entries"][0]["position"] == 1
        tree = request(p, "GET", "/projects/demo/head").json["tree"]
        whole = request(p, "GET", f"/projects/demo/trees/{tree}")
        assert whole.body[:4] == b"MTRO" and whole.body[-4:] == b"MTRE" and "immutable" in whole.headers["Cache-Control"]


def test_log_of_a_path(directory):
    with start(directory) as s:
        p = s.port

        def log(query):
            return request(p, "GET", "/projects/demo/log?" + query).json

        def positions(query):
            return [e["position"] for e in log(query)["entries"]]

        def pages(query):
            """All positions, page by page, while others land."""
            found, cursor = [], ""
            for number in range(99):
                page = log(query + cursor)
                found.append([e["position"] for e in page["entries"]])
                land(p, "demo", [write("src/deep/a", f"meanwhile {number}")])
                if "next" not in page:
                    return found
                cursor = f"&before={page['next']}"
            raise AssertionError(found)

        land(p, "demo", [write("src/deep/a", "1"), write("src/b", "1"), write("other", "1")])  # 1
        for text in "2345":
            land(p, "demo", [write("src/deep/a", text)])                                       # 2 to 5
        land(p, "demo", [write("src/b", "6"), {"op": "delete", "path": "other"}])              # 6
        land(p, "demo", [write("srcs", "7")])                                                  # 7
        assert positions("path=src/deep/a") == positions("path=src/deep") == [5, 4, 3, 2, 1]
        assert positions("path=src") == [6, 5, 4, 3, 2, 1] and positions("path=src/b") == [6, 1]
        assert positions("path=other") == [6, 1]  # it is gone, and was there
        assert positions("path=") == positions("") == [7, 6, 5, 4, 3, 2, 1]
        assert log("path=never/was") == {"entries": []} and log("path=other/below") == {"entries": []}
        assert positions("path=src&before=4") == [4, 3, 2, 1] and positions("path=src&before=0") == []
        assert positions("path=src&before=999999") == [6, 5, 4, 3, 2, 1]
        assert positions("path=src&all=1") == positions("path=src")
        effects = [(e["op"], e["path"]) for e in log("path=src/b")["entries"][0]["effects"]]
        assert effects == [("delete", "other"), ("write", "src/b")], effects
        assert [e["path"] for e in log("path=src/deep")["entries"][-1]["effects"]] == ["src/deep/a"]
        assert len(log("before=1")["entries"][0]["effects"]) == 3
        assert pages("path=src&limit=2") == [[6, 5], [4, 3], [2, 1]], pages("path=src&limit=2")
        for bad, code in (("path=/a", "bad_path"), ("path=a/../b", "bad_path"), ("path=a//b", "bad_path"), ("path=.git/x", "bad_path"),
                          ("path=a&limit=0", "bad_query"), ("path=a&before=x", "bad_query"), ("path=a&before=-1", "bad_query")):
            answer = request(p, "GET", "/projects/demo/log?" + bad)
            assert answer.status in (400, 422) and answer.code == code, (bad, answer.status, answer.body)


def test_session_over_its_life(directory):
    with start(directory) as s:
        p = s.port
        land(p, "demo", [write("f", "0")])
        sid = request(p, "POST", "/projects/demo/sessions", {"goal": "g", "base": 1, "key": "k"}).json["session"]
        again = request(p, "POST", "/projects/demo/sessions", {"goal": "g", "base": 1, "key": "k"}).json["session"]
        assert sid == again
        path = f"/projects/demo/sessions/{sid}"
        assert request(p, "POST", path + "/operations", {"operations": [write("f", "1")]}).status == 202
        assert request(p, "POST", path + "/decisions", {"decisions": [{"text": "because"}]}).status == 202
        assert request(p, "POST", path + "/conversation", {"conversation": [{"role": "user", "text": "do"}, {"role": "agent", "text": "done"}]}).status == 202
        assert request(p, "POST", path + "/guards", {"guards": [{"path": "f"}]}).status == 202
        stranger = request(p, "POST", path + "/decisions", {"decisions": [{"text": "mine"}]}, author="eve")
        assert stranger.status == 403 and stranger.code == "not_owner", stranger.body
        now = request(p, "GET", path).json
        assert now["state"] == "open" and now["operations"][0]["seen"]["hash"] == sha(b"0")
        assert [t["role"] for t in now["conversation"]] == ["user", "agent"]
        assert [x["id"] for x in request(p, "GET", "/projects/demo/sessions?state=open").json["sessions"]] == [sid]
        land(p, "demo", [write("f", "x")])
        lost = request(p, "POST", path + "/land?wait=10s", {})
        assert lost.status == 409, lost.body
        conflicts = lost.json["results"][0]["conflicts"]
        assert [(c["path"], c["what"], c["by"]) for c in conflicts] == [("f", "operation", 2), ("f", "guard", 2)], conflicts
        assert request(p, "GET", path).json["state"] == "open"
        assert request(p, "POST", path + "/rebase", {"base": 2}).status == 202
        assert request(p, "POST", path + "/operations", {"operations": [write("f", "1", base=2)]}).status == 202
        assert request(p, "POST", path + "/guards", {"guards": [{"path": "f", "base": 2}]}).status == 202
        won = request(p, "POST", path + "/land?wait=10s", {"key": "second"})
        assert won.status == 200, won.body
        then = request(p, "GET", path).json
        assert then["state"] == "landed" and then["decisions"][0]["text"] == "because"
        assert request(p, "POST", path + "/decisions", {"decisions": [{"text": "late"}]}).code == "session_closed"
        other = request(p, "POST", "/projects/demo/sessions", {"goal": "h"}).json["session"]
        gone = request(p, "POST", f"/projects/demo/sessions/{other}/abandon?wait=10s", {"reason": "no"})
        assert gone.status == 200 and gone.json["results"][0]["verdict"] == "abandoned", gone.body
        assert request(p, "GET", f"/projects/demo/sessions/{other}").json["state"] == "abandoned"


def test_preflight(directory):
    with start(directory) as s:
        p = s.port

        def asked(body, author=""):
            answer = request(p, "POST", "/projects/demo/preflight", body, author=author)
            assert answer.status == 200, answer.body
            return answer.json

        def open_session(path):
            sid = request(p, "POST", "/projects/demo/sessions", {"goal": "g"}).json["session"]
            assert request(p, "POST", f"/projects/demo/sessions/{sid}/operations", {"operations": [write(path, "mine")]}).status == 202
            return f"/projects/demo/sessions/{sid}"

        land(p, "demo", [write("src/a", "0"), write("b", "0")])
        mine = open_session("src/a")
        # Anyone who may read may ask; there need not be a body.
        free = request(p, "POST", mine + "/preflight", author="").json
        head = request(p, "GET", "/projects/demo/head").json
        assert [r["verdict"] for r in free["results"]] == ["clean"]
        assert [free[k] for k in ("position", "hlc", "tree")] == [head[k] for k in ("position", "hlc", "tree")] and head["position"] == 1
        land(p, "demo", [write("src/a", "1")], goal="to be faster", author="bob")
        result = request(p, "POST", mine + "/preflight", {}).json["results"][0]
        assert result["verdict"] == "conflicted" and result["conflicts_total"] == 1, result
        conflict = result["conflicts"][0]
        assert (conflict["path"], conflict["what"], conflict["by"], conflict["base"], conflict["more"]) == ("src/a", "operation", 2, 1, False)
        assert conflict["seen"]["hash"] == sha(b"0") and conflict["there"]["hash"] == sha(b"1")
        assert [(x["position"], x["author"], x["goal"]) for x in conflict["landings"]] == [(2, "bob", "to be faster")]
        other = open_session("c")
        assert request(p, "POST", other + "/land?wait=10s", {}).status == 200
        done = request(p, "POST", other + "/preflight").json["results"][0]
        assert done["verdict"] == "answered" and done["answer"]["verdict"] == "landed" and done["answer"]["position"] == 3, done
        assert request(p, "POST", "/projects/demo/sessions/" + 32 * "0" + "/preflight").code == "not_found"
        assert request(p, "POST", "/projects/demo/sessions/none/preflight").code == "not_found"
        # Whole sessions; a content is named by its hash alone.
        named = {"op": "write", "path": "new", "content": {"hash": sha(b"to come"), "size": 7}}
        assert asked({"session": {"base": 2, "operations": [named]}})["results"] == [{"verdict": "clean"}]
        assert asked({"session": {"base": 1, "operations": [write("src/a", "1")]}})["results"][0]["verdict"] == "clean"  # it is so already
        assert asked({"session": {"base": 1, "guards": [{"path": "src"}]}})["results"][0]["conflicts"][0]["what"] == "guard"
        series = asked({"sessions": [{"base": 2, "operations": [o]} for o in (write("src/a", "x"), write("b", "x", seen=None), write("src/a", "y"))]})
        assert [r["verdict"] for r in series["results"]] == ["clean", "conflicted", "not_tried"], series
        refused = request(p, "POST", "/projects/demo/land", {"session": {"goal": "g", "base": 2, "operations": [named]}})
        assert refused.status == 400 and refused.json["error"]["field"] == "session.operations[0].content", refused.body
        for wrong, code in (({"session": {"base": 99}}, "base_ahead"), ({"session": {"base": 2, "operations": [write("b/c", "x")]}}, "path_clash"),
                            ({"session": {"operations": [{"op": "write", "path": "x", "content": {"blob": 64 * "0"}}]}}, "blob_missing"),
                            ({"session": {"operations": [{"op": "delete", "path": "never"}]}}, "path_absent")):
            answer = request(p, "POST", "/projects/demo/preflight", wrong)
            assert answer.status == 422 and answer.code == code, answer.body
        assert request(p, "POST", "/projects/demo/preflight", {}).status == 400
        assert request(p, "GET", "/projects/demo/preflight").status == 405
        assert request(p, "GET", "/projects/demo/head").json["position"] == 3


def test_retry_and_series(directory):
    with start(directory) as s:
        p = s.port
        body = {"session": {"goal": "g", "key": "k", "base": 0, "operations": [write("a", "1")]}}
        first = request(p, "POST", "/projects/demo/land?wait=10s", body)
        second = request(p, "POST", "/projects/demo/land?wait=10s", body)
        assert first.json["results"] == second.json["results"] and first.json["request"] == second.json["request"]
        keyless = {"session": {"goal": "g", "key": "k", "operations": []}}
        assert request(p, "POST", "/projects/demo/land", keyless).json["error"]["field"].endswith("base")
        series = {"sessions": [{"goal": "1", "operations": [write("s", "1")]},
                               {"goal": "2", "operations": [write("s", "2", seen=None)]},
                               {"goal": "3", "operations": [write("s", "3")]}]}
        answer = request(p, "POST", "/projects/demo/land?wait=10s", series)
        assert answer.status == 409
        assert [r["verdict"] for r in answer.json["results"]] == ["landed", "conflicted", "not_tried"]


def test_blobs(directory):
    size = 2 << 30 if forge.LONG else 200 << 20
    with start(directory) as s:
        p = s.port
        small = os.urandom(1000)
        answer = request(p, "POST", "/projects/demo/blobs", small)
        assert answer.status == 201 and answer.json["hash"] == sha(small)
        assert request(p, "POST", "/projects/demo/blobs", small, {"Mic-Hash": "0" * 64}).code == "wrong_hash"
        block = random.Random(1).randbytes(1 << 20)
        digest = hashlib.sha256()

        def body():
            for i in range(size >> 20):
                piece = i.to_bytes(8, "big") + block[8:]
                digest.update(piece)
                yield piece

        connection = http.client.HTTPConnection("127.0.0.1", p, timeout=600)
        connection.request("POST", "/api/mic/projects/demo/blobs", body=body(), headers={"Mic-Author": "ann"}, encode_chunked=True)
        big = json.loads(connection.getresponse().read())
        assert big["hash"] == digest.hexdigest() and big["size"] == size and big["carrier"] == "manifest", big
        part = request(p, "GET", f"/projects/demo/blobs/{big['hash']}", headers={"Range": "bytes=3145728-3145735"})
        assert part.body == (3).to_bytes(8, "big")
        read = hashlib.sha256()
        connection.request("GET", f"/api/mic/projects/demo/blobs/{big['hash']}")
        response = connection.getresponse()
        while piece := response.read(1 << 20):
            read.update(piece)
        assert read.hexdigest() == big["hash"]
        missing = request(p, "POST", "/projects/demo/blobs/missing", {"hashes": [big["hash"], "1" * 64, sha(small)]})
        assert missing.json["missing"] == ["1" * 64]
        landed = land(p, "demo", [{"op": "write", "path": "big", "content": {"blob": big["hash"]}}])
        assert landed.status == 200, landed.body
        assert request(p, "HEAD", "/projects/demo/files/big").headers["Content-Length"] == str(size)
        nothing = land(p, "demo", [{"op": "write", "path": "no", "content": {"blob": "1" * 64}}])
        assert nothing.status == 422 and nothing.code == "blob_missing", nothing.body
        inline = land(p, "demo", [write("tiny", "tiny content")])
        assert inline.status == 200
        assert request(p, "GET", f"/projects/demo/blobs/{sha(b'tiny content')}").body == b"tiny content"
        peak = s.rss_peak_kib()
        print(f"peak {peak >> 10} MiB for an upload of {size >> 20} MiB", flush=True)
        assert peak < (64 << 10) or forge.SANITIZED, peak


def raw(port, data, timeout=10):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
                if b"\r\n\r\n" in answer and b"Connection: close" not in answer:
                    break
        except (TimeoutError, ConnectionError):
            pass
        return answer


def test_everything_wrong(directory):
    with start(directory) as s:
        p = s.port
        post = lambda body, path="/projects/demo/land?wait=1s", **k: request(p, "POST", path, body, **k)
        wrong = [
            (b"{", 400, "malformed_json"), (b"", 400, "malformed_json"), (b"[]", 400, None), (b"\xff\xfe", 400, "malformed_json"),
            (b'{"session":{"goal":"g","goal":"h"}}', 400, "malformed_json"), (b"[" * 100000, 400, "malformed_json"),
            (b'{"session":{"goal":1}}', 400, "wrong_type"), (b'{"session":{}}', 400, "missing_field"),
            (b'{"session":{"goal":"g","extra":1}}', 400, "unknown_field"), (b'{"sessions":[]}', 422, "bad_value"),
            (b'{"session":{"goal":"g","operations":[{"op":"fly","path":"a"}]}}', 422, "bad_value"),
            (b'{"session":{"goal":"g","base":-1}}', 422, None), (b'{"session":{"goal":"g","base":1e3}}', 400, None),
            (b'{"session":{"goal":"g","base":77}}', 422, "base_ahead"),
        ]
        for body, status, code in wrong:
            answer = post(body)
            assert answer.status in (status, 400, 422) and answer.status < 500, (body[:60], answer.status, answer.body)
            assert code is None or answer.code == code, (body[:60], answer.body)
        for path in ("", "/a", "a//b", "a/../b", ".git/x", "a/.GIT", ".mic/x", "a\x01", "x" * 256, "d/" * 2100 + "x"):
            answer = land(p, "demo", [write(path, "1")])
            assert answer.status in (413, 422), (path, answer.status, answer.body)
        clash = land(p, "demo", [write("a", "1"), write("a/b", "2")])
        assert clash.status == 422 and clash.code == "path_clash", clash.body
        assert land(p, "demo", [write("a", "x" * 70000)]).code == "content_too_large"
        assert post({"session": {"goal": "g"}}, author=None).code == "author_missing"
        assert post({"session": {"goal": "g"}}, headers={"Mic-Hlc": str(2 ** 64 - 1)}).code == "hlc_ahead"
        assert post({"session": {"goal": "g"}}, headers={"Mic-Hlc": "soon"}).status == 400
        assert post({"session": {"goal": "g"}}, path="/projects/demo/land?wait=soon").code == "bad_query"
        assert post(b"\0\0\0\5hello", headers={"Content-Type": "application/vnd.micelio.sessions"}).code == "malformed_session"
        assert post(b"\xff\xff\xff\xff", headers={"Content-Type": "application/vnd.micelio.sessions"}).code == "malformed_session"
        assert request(p, "DELETE", "/projects/demo/head").status == 405
        assert request(p, "GET", "/nothing").code == "no_such_route"
        assert request(p, "GET", "/projects/demo/sessions/zz").status == 404
        assert request(p, "GET", "/projects/demo/sessions/" + "0" * 32).status == 404
        huge = raw(p, b"POST /api/mic/projects/demo/land HTTP/1.1\r\nHost: x\r\nMic-Author: a\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in huge.split(b"\r\n")[0], huge[:200]
        unsized = raw(p, b"POST /api/mic/projects/demo/land HTTP/1.1\r\nHost: x\r\nMic-Author: a\r\n\r\n")
        assert b" 411 " in unsized.split(b"\r\n")[0], unsized[:200]
        chance = random.Random(7)
        for _ in range(200):
            raw(p, chance.randbytes(chance.randrange(1, 2000)) + b"\r\n\r\n", timeout=0.05)
        # A body that ends too early.
        with socket.create_connection(("127.0.0.1", p)) as cut:
            cut.sendall(b"POST /api/mic/projects/demo/land HTTP/1.1\r\nHost: x\r\nMic-Author: a\r\nContent-Length: 100\r\n\r\n{")
        assert request(p, "GET", "/health").json["status"] == "ok"
        assert request(p, "GET", "/projects/demo/head").json["position"] == 0


def test_idle_and_slow_connections(directory):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    n = min(10000, most - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with start(directory, "--http-idle-ms", "3s") as s:
        idle = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(n)]
        slow = socket.create_connection(("127.0.0.1", s.port))
        slow.sendall(b"POST /api/mic/projects/demo/land HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert land(s.port, "demo", [write("a", "1")]).status == 200
        print(f"{n} idle connections, peak {s.rss_peak_kib() >> 10} MiB", flush=True)
        deadline = time.monotonic() + 60
        slow.settimeout(60)
        while slow.recv(4096):
            assert time.monotonic() < deadline
        for connection in idle:
            connection.close()
        assert land(s.port, "demo", [write("a", "2")]).status == 200


def test_metrics_count(directory):
    with start(directory) as s:
        def value(name):
            text = request(s.port, "GET", "/metrics").body.decode()
            return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M).group(1))
        before = value("mic_sessions_landed_total"), value('mic_store_requests_total{verb="put",kind="head"}')
        land(s.port, "demo", [write("a", "1")])
        after = value("mic_sessions_landed_total"), value('mic_store_requests_total{verb="put",kind="head"}')
        assert after == (before[0] + 1, before[1] + 1), (before, after)


def test_only_loopback(directory):
    for address in ("0.0.0.0:0", "10.0.0.1:80", "[::]:0"):
        done = subprocess.run([forge.program("mic-forge"), directory, "--listen", address], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and "loopback" in done.stderr, (done.returncode, done.stderr)


if __name__ == "__main__":
    forge.main([test_projects, test_tree_files_diff_log, test_log_of_a_path, test_session_over_its_life, test_preflight,
                test_retry_and_series, test_blobs,
                test_everything_wrong, test_idle_and_slow_connections, test_metrics_count, test_only_loopback])

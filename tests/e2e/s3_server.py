"""A small S3 server in memory that may lie or refuse, and a proxy that speaks TLS: for tests of what looks at servers. It checks no
signatures, and knows only what the store of the programs asks for."""

import collections
import email.utils
import hashlib
import http.server
import re
import select
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def key(self):
        return urllib.parse.unquote(self.path.split("?")[0]).split("/", 2)[2]

    def refuses(self):
        """What is said to come too soon, or to a server that is busy, did not happen."""
        server = self.server
        time.sleep(server.delay)
        now = time.monotonic()
        with server.lock:
            name = "?" if "?" in self.path else re.sub("[0-9a-f]{4,}.*", "", self.key())
            server.requests[self.command, name] += 1
            early = self.command == "PUT" and now - server.put_at.get(self.key(), -server.interval) < server.interval
            status = 503 if server.busy else 429 if early else 0
            if early:
                server.early.append(self.key())
        if status:
            self.answer(status, b"<Error><Code>SlowDown</Code><Message>no</Message></Error>", Retry_After="1")
        return status != 0

    def do_GET(self):
        if self.refuses():
            return None
        if "?" in self.path:
            return self.list()
        with self.server.lock:
            body = self.server.objects.get(self.key())
        if body is None:
            return self.error(404, "NoSuchKey")
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers["Range"] or "")
        if not found:
            return self.answer(200, body, ETag=etag(body))
        first, last = (int(n) if n else None for n in found.groups())
        first, last = (max(0, len(body) - last), len(body) - 1) if first is None else (first, len(body) - 1 if last is None else last)
        if first >= len(body):
            return self.error(416, "InvalidRange")
        part = body[first:last + 1]
        return self.answer(206, part, ETag=etag(body), Content_Range=f"bytes {first}-{first + len(part) - 1}/{len(body)}")

    do_HEAD = do_GET

    def list(self):
        query = {k: v[0] for k, v in urllib.parse.parse_qs(self.path.split("?")[1], keep_blank_values=True).items()}
        after, most = query.get("start-after", ""), int(query["max-keys"])
        with self.server.let_go:
            self.server.lists[query["prefix"]] += 1
            self.server.let_go.wait_for(lambda: not self.server.hold or self.server.hold not in query["prefix"])
        with self.server.lock:
            found = sorted(k for k in self.server.objects if k.startswith(query["prefix"]) and k > after)
            sizes = {k: len(self.server.objects[k]) for k in found}
        inner = "".join(f"<Contents><Key>{escape(k)}</Key><Size>{sizes[k]}</Size></Contents>" for k in found[:most])
        more = "true" if len(found) > most else "false"
        self.answer(200, f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{inner}</ListBucketResult>".encode())

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refuses():
            return None
        match, none = self.headers["If-Match"], self.headers["If-None-Match"]
        with self.server.lock:
            old = self.server.objects.get(self.key())
            fails = (none == "*" and old is not None) or (match is not None and (old is None or match != etag(old)))
            if self.server.lie == "no conditions":
                fails = False
            if self.server.lie == "two winners" and match in self.server.used and b"writer" in body:
                self.server.used.discard(match)
                fails = False
            elif not fails:
                self.server.used.add(match)
            if not fails:
                self.server.objects[self.key()] = body
                self.server.put_at[self.key()] = time.monotonic()
        return self.error(412, "PreconditionFailed") if fails else self.answer(200, ETag=etag(body))

    def do_DELETE(self):
        if self.refuses():
            return
        with self.server.lock:
            self.server.objects.pop(self.key(), None)
        self.answer(204)

    def log_message(self, *_):
        pass


def etag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


class Server(http.server.ThreadingHTTPServer):
    """`lie` is "", "no conditions" or "two winners". While it is `busy` it answers 503 to all; a second put to a key
    within `interval` seconds is answered 429, and the key is noted in `early`. Every request takes `delay` seconds.
    `requests` counts them by method and the first words of the key, "?" for lists; `lists` counts these by prefix. One whose
    prefix has `hold` in it is held until release()."""

    request_queue_size = 128

    def __init__(self, lie="", port=0, objects=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.lie, self.lock, self.used = lie, threading.Lock(), set()
        self.objects = {} if objects is None else objects
        self.busy, self.delay, self.interval, self.put_at, self.early = False, 0, 0, {}, []
        self.requests, self.lists, self.connections = collections.Counter(), collections.Counter(), set()
        self.hold, self.let_go = "", threading.Condition()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def release(self):
        with self.let_go:
            self.hold = ""
            self.let_go.notify_all()

    def __exit__(self, *_):
        """Gone, with the connections that stand."""
        self.release()
        self.shutdown()
        self.server_close()
        with self.lock:
            for connection in self.connections:
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request, client_address):
        with self.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.lock:
            self.connections.discard(request)
        super().shutdown_request(request)


class TlsProxy:
    """Speaks TLS with a certificate that signs itself, and passes on to http://HOST:PORT."""

    def __init__(self, directory, url):
        self.certificate = f"{directory}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", f"{directory}/key.pem", "-out", self.certificate, "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=60)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, f"{directory}/key.pem")
        target = urllib.parse.urlsplit(url)
        self.target = (target.hostname, target.port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pump, args=(raw,), daemon=True).start()

    def pump(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as near, socket.create_connection(self.target) as far:
                self.connections += 1
                while True:
                    ready = [near] if near.pending() else select.select([near, far], [], [])[0]
                    for one in ready:
                        data = one.recv(65536)
                        if not data:
                            return
                        (far if one is near else near).sendall(data)
        except OSError:
            return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

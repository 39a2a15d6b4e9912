"""A proxy that passes requests on to an S3 server as they are, and writes down each of them: what a program really asked of its
bucket. It can hold requests back until somebody lets them go."""

import http.client
import http.server
import re
import threading
import time
import urllib.parse

# What a key is, after the place of the forge in its bucket.
KINDS = (("bucket", r"bucket$"), ("handle", r"handles/"), ("dead", r"queue/dead/"), ("queue", r"queue/"), ("lease", r"leases/"),
         ("probe", r"probe/"), ("project", r"projects/\w+/project$"), ("head", r"projects/\w+/head$"), ("gc", r"projects/\w+/gc$"),
         ("tree", r"projects/\w+/trees/"), ("log", r"projects/\w+/landing-log/"), ("session", r"projects/\w+/sessions/"),
         ("blob", r"projects/\w+/blobs/"), ("derive", r"projects/\w+/derive/"))
# Those of one hop are not passed on.
HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece

    def setup(self):
        super().setup()
        self.far = http.client.HTTPConnection(*self.server.target, timeout=120)

    def finish(self):
        self.far.close()
        super().finish()

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        what = self.server.note(self.command, self.path, self.headers)
        # The signature covers Host and path: both go on as the client has written them.
        self.far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self.far.putheader(name, value)
        self.far.endheaders(body)
        answer = self.far.getresponse()
        content = answer.read()
        self.server.answered(what, answer.status)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        if answer.status != 204:
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = pass_on

    def log_message(self, *_):
        pass


class LoggingProxy(http.server.ThreadingHTTPServer):
    """`url` takes the place of the server's; `place` is that of the forge, s3://BUCKET/PREFIX."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, url, place):
        super().__init__(("127.0.0.1", 0), Handler)
        target = urllib.parse.urlsplit(url)
        self.target = (target.hostname, target.port)
        self.root = "/" + place[5:] + "/"
        self.lock, self.noted, self.times, self.failed = threading.Lock(), [], [], []
        self.gate, self.held = threading.Event(), None
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def kind(self, key):
        return next((kind for kind, pattern in KINDS if re.match(pattern, key)), "other")

    def note(self, method, path, headers):
        """Writes a request down as `get head`, `list queue`, `put tree if absent` or `put head if match`."""
        bare, _, query = path.partition("?")
        query = urllib.parse.parse_qs(query, keep_blank_values=True)
        verb = method.lower()
        if verb == "get" and "list-type" in query:
            verb, bare = "list", "/" + self.root.split("/")[1] + "/" + query["prefix"][0]
        key = urllib.parse.unquote(bare)
        assert key.startswith(self.root), (method, path)
        condition = " if absent" if headers["If-None-Match"] else " if match" if headers["If-Match"] else ""
        what = f"{verb} {self.kind(key[len(self.root):])}{condition}"
        with self.lock:
            self.noted.append(what)
            self.times.append(time.monotonic())
        if what == self.held:
            self.gate.wait(60)
        return what

    def answered(self, what, status):
        if status >= 300:
            with self.lock:
                self.failed.append(f"{what}: {status}")

    def hold(self, what):
        """Requests of this kind wait, written down, until `let_go`."""
        self.gate.clear()
        self.held = what

    def let_go(self):
        self.held = None
        self.gate.set()

    def count(self, what):
        with self.lock:
            return self.noted.count(what)

    def gaps(self, what):
        """Seconds between one request of this kind and the next."""
        with self.lock:
            times = [when for noted, when in zip(self.noted, self.times) if noted == what]
        return [after - before for before, after in zip(times, times[1:])]

    def taken(self):
        """How often each request was made since the last time, and which of them the server did not do."""
        with self.lock:
            noted, failed = self.noted, self.failed
            self.noted, self.times, self.failed = [], [], []
        return {what: noted.count(what) for what in sorted(set(noted))}, sorted(failed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_go()
        self.shutdown()
        self.server_close()

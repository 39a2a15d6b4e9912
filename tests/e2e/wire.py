"""Requests as bytes on a socket, and the answers taken apart: for what an HTTP library would not send."""

import socket

HEADER = b"Host: x\r\nMic-Author: ann\r\n"


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]}>"


class Wire:
    """One connection. Keeps what it has read beyond the last answer."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.left = b""

    def send(self, method, path, body=None, *headers):
        """A whole request under /api/mic; None is no body and no length."""
        head = [f"{method} /api/mic{path} HTTP/1.1".encode("utf-8", "surrogateescape"), HEADER.rstrip()]
        head += [h.encode() for h in headers]
        if body is not None:
            head.append(b"Content-Length: %d" % len(body))
        self.socket.sendall(b"\r\n".join(head) + b"\r\n\r\n" + (body or b""))

    def until(self, mark):
        while mark not in self.left:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(f"the connection was closed after {self.left!r:.200}")
            self.left += piece
        before, _, self.left = self.left.partition(mark)
        return before

    def answer(self, method="GET"):
        """The next answer; an interim one, too."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        size = 0 if method == "HEAD" or status in (100, 204, 304) else int(headers["content-length"])
        while len(self.left) < size:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(f"the answer was cut after {len(self.left)} of {size} bytes")
            self.left += piece
        body, self.left = self.left[:size], self.left[size:]
        return Reply(status, headers, body)

    def closed(self):
        """Whether the server has closed it, once what is under way has come."""
        try:
            while piece := self.socket.recv(65536):
                self.left += piece
            return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def ask(port, method, path, body=None, *headers):
    with Wire(port) as wire:
        wire.send(method, path, body, *headers)
        return wire.answer(method)

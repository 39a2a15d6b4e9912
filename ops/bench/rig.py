"""What the parts of the benchmark share: a place on disk, processes, servers, and tables."""

import array
import fcntl
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build") / "release"
HERE = pathlib.Path(__file__).resolve().parent
QUICK = os.environ.get("MIC_BENCH_QUICK", "") not in ("", "0")
RUNS = 1 if QUICK else 3
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A part cannot be measured here; says why."""


def quick(small, full):
    return small if QUICK else full


def note(text):
    """Progress, for who watches; the tables go to stdout."""
    print(f"  … {text}", file=sys.stderr, flush=True)


def program(name):
    path = BUILD / "bin" / name
    if not path.exists():
        raise Missing(f"there is no {path.relative_to(ROOT)}")
    return str(path)


def bench_program(name):
    path = BUILD / "bench" / name
    if not path.exists():
        raise Missing(f"there is no {path.relative_to(ROOT)}; `make bench` builds it")
    return str(path)


def needed(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is not installed; `ops/dev/setup bench` installs it")
    return found


def directories_apart(path):
    """Lets ext4 put each directory that is made in `path` into a region of its own. Without a journal ext4 passes over the
    inodes of deleted files for minutes, one by one, so who makes a file pays for what others have deleted nearby: the run
    before this one, or a test. Other file systems do not know the flag, or need it not."""
    get_flags, set_flags, top_of_hierarchies = 0x80086601, 0x40086602, 0x20000
    fd = os.open(path, os.O_RDONLY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(fd, get_flags, flags)
        flags[0] |= top_of_hierarchies
        fcntl.ioctl(fd, set_flags, flags)
    except OSError:
        pass
    finally:
        os.close(fd)


class Rig:
    """A temporary directory and the processes that were started in it. Ends both."""

    def __init__(self):
        # Not /tmp, which may be memory: what is durable must cost what it costs on a disk.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mic-bench-", dir=os.environ.get("MIC_BENCH_DIR", "/var/tmp")))
        directories_apart(self.dir)
        self.processes = []
        self.places = 0
        self.made = {}
        home = self.dir / "home"
        home.mkdir()
        (home / ".gitconfig").write_text(
            "[user]\n\tname = Bench\n\temail = bench@example.org\n"
            "[init]\n\tdefaultBranch = main\n"
            # Neither side is to stop for housekeeping in so short a time.
            "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false\n"
            "[advice]\n\tdetachedHead = false\n[safe]\n\tdirectory = *\n")
        self.env = {"PATH": f"{BUILD / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin", "HOME": str(home),
                    "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
                    "TMPDIR": str(self.dir)}

    def place(self, name):
        """A new directory. It stays until the end, see directories_apart."""
        self.places += 1
        path = self.dir / f"{name}-{self.places}"
        path.mkdir()
        return path

    def start(self, args, **options):
        options.setdefault("env", self.env)
        options.setdefault("cwd", self.dir)
        options.setdefault("stdin", subprocess.DEVNULL)
        # A process group of its own, to end it by; not a session: Linux shares the cores out between sessions, and
        # a server is to have more of them than one of its clients.
        process = subprocess.Popen([str(a) for a in args], preexec_fn=os.setpgrp, **options)
        self.processes.append(process)
        return process

    def stop(self, process, with_signal=signal.SIGTERM):
        """Ends a process and whatever it started in its process group."""
        for one, seconds in ((with_signal, 20), (signal.SIGKILL, 20)):
            try:
                os.killpg(process.pid, one)
            except ProcessLookupError:
                pass
            try:
                process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if process in self.processes:
            self.processes.remove(process)

    def call(self, args, check=True, **options):
        options.setdefault("env", self.env)
        options.setdefault("cwd", self.dir)
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([str(a) for a in args], capture_output=True, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(str(a) for a in args[:4])} …: exit {done.returncode}\n"
                               f"{done.stderr.decode(errors='replace')[-2000:]}")
        return done

    def timed(self, args, **options):
        """Seconds that a command took."""
        os.sync()  # what an earlier run wrote is not to be paid for by this one
        began = time.monotonic()
        self.call(args, **options)
        return time.monotonic() - began

    def project(self, *options):
        """A synthetic project `p` in a bucket of its own, made once for these options: its directory, and what was said of it."""
        if options not in self.made:
            note("a project with " + " ".join(options))
            bucket = self.place("made") / "bucket"
            said = self.call([bench_program("make_project"), bucket, "p", *options]).stdout
            self.made[options] = bucket, json.loads(said)
        return self.made[options]

    def measured(self, args):
        """Runs a program to its end: seconds, seconds of CPU, and the most memory that it had, in MiB."""
        began = time.monotonic()
        process = self.start(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        self.processes.remove(process)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(str(a) for a in args[:4])} …: exit {process.returncode}")
        return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}

    def close(self):
        for process in list(self.processes):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)


def http_get(port, path):
    """The bytes of a server's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Mic-Author": "bench"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"GET {path}: {answer.status} {body[:300]!r}")
    return body


class Listening:
    """A server that says `listening on http://HOST:PORT` on its stdout."""

    def __init__(self, rig, args, stdin=subprocess.DEVNULL):
        self.rig = rig
        self.log = open(rig.dir / f"{pathlib.Path(str(args[0])).name}.log", "ab")
        self.process = rig.start(args, stdout=subprocess.PIPE, stderr=self.log, stdin=stdin)
        line = self.process.stdout.readline().decode()
        found = re.match(r"listening on http://(\S+):(\d+)$", line)
        if not found:
            rig.stop(self.process)
            raise RuntimeError(f"{args[0]} did not start: {pathlib.Path(self.log.name).read_text()[-2000:]}")
        self.pid = self.process.pid
        self.port = int(found.group(2))
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def stop(self):
        self.rig.stop(self.process)
        self.process.stdout.close()
        self.log.close()


class Forge(Listening):
    """mic-forge on a directory."""

    def __init__(self, rig, bucket, *more, before=()):
        self.bucket = bucket
        super().__init__(rig, [*before, program("mic-forge"), bucket, "--listen", "127.0.0.1:0",
                               "--log-level", "warn", *more])

    def get(self, path):
        """The bytes of an answer."""
        return http_get(self.port, f"/api/mic{path}")

    def json(self, path):
        return json.loads(self.get(path))


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    """nginx over a directory; with `git`, also git's smart HTTP for the repositories below it, by
    git http-backend under fcgiwrap."""

    def __init__(self, rig, root, git=False, before=()):
        self.rig = rig
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        place = rig.place(f"nginx-{self.port}")
        self.processes = []
        smart = ""
        if git:
            socket_path = place / "git.sock"
            backend = pathlib.Path(rig.call(["git", "--exec-path"]).stdout.decode().strip()) / "git-http-backend"
            self.processes.append(rig.start([needed("fcgiwrap"), "-c", "32", "-s", f"unix:{socket_path}"],
                                            stderr=subprocess.DEVNULL))
            until = time.monotonic() + 10
            while not socket_path.exists() and time.monotonic() < until:
                time.sleep(0.01)
            smart = f"""
        location ~ ^/.*\\.git/ {{
            fastcgi_pass unix:{socket_path};
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT {root};
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param HOME {rig.env['HOME']};
            fastcgi_param GIT_CONFIG_NOSYSTEM 1;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
            fastcgi_buffering off;
        }}"""
        user = "user root;" if os.geteuid() == 0 else ""
        (place / "nginx.conf").write_text(f"""
{user}
daemon off;
worker_processes 1;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    # Of a small file from the page cache, read and written is quicker than sent by sendfile.
    sendfile off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    scgi_temp_path {place}/scgi;
    uwsgi_temp_path {place}/uwsgi;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        root {root};{smart}
    }}
}}
""")
        self.log = place / "error.log"
        self.processes.append(rig.start([*before, needed("nginx"), "-c", place / "nginx.conf", "-p", place,
                                         "-e", place / "error.log"]))
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/")
                connection.getresponse().read()
                connection.close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"nginx did not start: {self.log.read_text()[-1000:]}")

    def worker_pid(self):
        master = self.processes[-1].pid
        return int(pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])

    def stop(self):
        for process in reversed(self.processes):
            self.rig.stop(process)


def cpu_us(pid):
    """CPU time of a process so far, its threads included, in microseconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000000 // CLOCK_TICKS


def evict(path):
    """Lets the system forget what it keeps in memory of the files below a directory: they are read from the disk again."""
    os.sync()
    for where, _, names in os.walk(path):
        for name in names:
            fd = os.open(os.path.join(where, name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def bytes_below(path):
    """Sum of the sizes of all files below a directory."""
    total = 0
    for where, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                pass
    return total


def figure(number):
    """A number as people read it."""
    if number is None:
        return "-"
    if isinstance(number, str):
        return number
    if number == 0:
        return "0"
    size = abs(number)
    if size >= 10000:
        return f"{number:,.0f}"
    if size >= 100:
        return f"{number:.0f}"
    if size >= 10:
        return f"{number:.1f}"
    if size >= 0.1:
        return f"{number:.2f}"
    return f"{number:.2g}"


class Figures:
    """One measure of several runs: its median, and the least and the greatest."""

    def __init__(self, values):
        self.values = [v for v in values if v is not None]

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    def __str__(self):
        if not self.values:
            return "-"
        low, high = min(self.values), max(self.values)
        text = figure(self.median)
        return text if low == high else f"{text} ({figure(low)}-{figure(high)})"


def median_of(rows, key):
    return Figures([row.get(key) for row in rows])


def ratio(a, b):
    """a / b of two Figures or numbers, as text."""
    a = a.median if isinstance(a, Figures) else a
    b = b.median if isinstance(b, Figures) else b
    return figure(a / b) if a is not None and b else "-"


def table(title, columns, rows, notes=()):
    """Prints a table in Markdown, so that it can be kept as it is."""
    cells = [[str(c) for c in columns]] + [[figure(c) if not isinstance(c, (str, Figures)) else str(c) for c in row]
                                           for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    print(f"\n### {title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |")
        if number == 0:
            print("|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    for line in notes:
        print(f"\n{line}")
    sys.stdout.flush()


def verdict(text, value, holds):
    """A line that says whether a goal is met; never fails the benchmark."""
    return f"* {text}: {figure(value) if value is not None else 'not measured'}" + (
        "" if value is None else (" - met" if holds else " - NOT MET"))

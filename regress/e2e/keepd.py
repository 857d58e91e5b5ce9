"""The harness: starts the real keepd in a directory of its own, speaks to it
as keepctl, HTTP and MCP clients do, and looks at what is left afterwards.

Nothing here sleeps to wait: readiness comes by NOTIFY_SOCKET, states by
`keepctl events -f`, services speak by datagrams (services/svc.py).
"""
import http.client
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# The tests take all of these from here.
from check import Skip, TESTS, eq, has, ok, test
from client import (LEGACY, META, MODERN, Mcp, RpcError, ToolError,
                    read_answer)
from procs import (PATIENCE, alive, as_user, become_subreaper, children,
                   descendants, free_port, proc_cmdline, proc_stat,
                   proc_status, reap, wait_gone)

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("KEEPD_E2E_BIN", "")
SVC = os.path.join(HERE, "services", "svc.py")
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") \
    else sys.executable
USER = "keepd-test"
IS_ROOT = os.getuid() == 0
BAD_LOG = re.compile(r"runtime error:|AddressSanitizer|LeakSanitizer|"
                     r"UndefinedBehavior|\bfatal\b|stack smashing|"
                     r"buffer overflow detected|Assertion")


# --- configuration ----------------------------------------------------------

def q(s):
    return '"' + str(s).replace("\\", "\\\\").replace('"', '\\"') + '"'


def argv(*words):
    return "{ " + " ".join(q(w) for w in words) + " }"


def svc_argv(*steps):
    return (PYTHON, "-S", "-E", SVC) + steps


def service(name, *steps, extra=""):
    """A service block that runs svc.py with these steps."""
    return (f"service {name} {{\n\tcommand {argv(*svc_argv(*steps))}\n"
            + "".join(f"\t{line.strip()}\n" for line in extra.splitlines()
                      if line.strip()) + "}\n")


class Result:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"rc={self.rc} out={self.out!r} err={self.err!r}"


class Reader(threading.Thread):
    """Collects the lines of a stream; others wait for one to come."""

    def __init__(self, stream, keep):
        super().__init__(daemon=True)
        self.stream, self.keep = stream, keep
        self.lines, self.cond, self.eof = [], threading.Condition(), False
        self.start()

    def run(self):
        with self.stream:
            for raw in self.stream:
                with self.cond:
                    self.lines.append(raw)
                    self.keep.write(raw)
                    self.keep.flush()
                    self.cond.notify_all()
        with self.cond:
            self.eof = True
            self.cond.notify_all()

    def wait(self, fn, start=0, timeout=PATIENCE):
        """First fn(line) that is true from line `start` on: (index, value)."""
        end = time.monotonic() + timeout
        i = start
        with self.cond:
            while True:
                while i < len(self.lines):
                    v = fn(self.lines[i].decode(errors="replace"))
                    if v:
                        return i, v
                    i += 1
                left = end - time.monotonic()
                if left <= 0 or (self.eof and i >= len(self.lines)):
                    return None
                self.cond.wait(left)

    def text(self):
        with self.cond:
            return b"".join(self.lines).decode(errors="replace")


class Notify(threading.Thread):
    """What comes by sd_notify, a line each; the queue must never fill up."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.lines, self.cond, self.taken = [], threading.Condition(), 0
        self.start()

    def run(self):
        while True:
            try:
                msg = self.sock.recv(8192).decode(errors="replace")
            except OSError:
                return
            with self.cond:
                self.lines += msg.splitlines()
                self.cond.notify_all()

    def next(self, what, timeout):
        """The next line that starts so, not to be given again; or None."""
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                while self.taken < len(self.lines):
                    self.taken += 1
                    if self.lines[self.taken - 1].startswith(what):
                        return self.lines[self.taken - 1]
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.cond.wait(left)


class Keepd:
    """A keepd of its own.  As a context manager: start, and check the end."""

    def __init__(self, services="", top="", defaults="", mode="release",
                 files=None, env=None, uid=None, bindir=None, config=None,
                 check=True, args=(), start=True, allow_log=None,
                 user=None):
        self.system = IS_ROOT and uid is None
        self.uid = os.getuid() if uid is None else uid
        self.svc_user = user or (USER if self.system else None)
        self.bin = bindir or BIN
        self.port = free_port()
        self.check, self.args = check, list(args)
        self.allow_log = allow_log
        self.proc = self.reader = self.echo = None
        self.ev = None
        self._mcp = None
        self.autostart = start
        self.base = tempfile.mkdtemp(prefix="keepd-e2e-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.work = os.path.join(self.base, "work")
        self.tmp = os.path.join(self.base, "tmp")
        for d in (self.work, self.tmp):
            os.mkdir(d)
            os.chmod(d, 0o777 if d == self.tmp else 0o755)
        self.sock = os.path.join(self.base, "ctl.sock")
        self.conf = os.path.join(self.base, "keepd.conf")
        self.note_path = os.path.join(self.base, "note.sock")
        self.note_sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.note_sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                  1 << 20)
        self.note_sock.bind(self.note_path)
        os.chmod(self.note_path, 0o777)
        self.notes = []
        self.top, self.defaults, self.mode = top, defaults, mode
        for name, text in (files or {}).items():
            self.file(name, text)
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": self.work, "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": os.path.join(self.base, "xdg-run"),
            "XDG_STATE_HOME": os.path.join(self.base, "xdg-state"),
            "XDG_CONFIG_HOME": os.path.join(self.base, "xdg-config"),
            "KEEPD_SOCKET": self.sock, "NO_COLOR": "1",
            "NOTE": self.note_path,
        }
        for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if k in os.environ:
                self.env[k] = os.environ[k]
        self.env.update(env or {})
        if config is not None:
            self.write_raw(config)
        else:
            self.configure(services)
        self.give(self.work)
        if uid is not None:
            self.give(self.base)
            self.give(self.conf)

    # -- files

    def give(self, path):
        """To whoever the services run as."""
        if IS_ROOT:
            pw = pwd.getpwnam(self.svc_user) if self.svc_user \
                else pwd.getpwuid(self.uid)
            os.chown(path, pw.pw_uid, pw.pw_gid)

    def path(self, name):
        return os.path.join(self.work, name)

    def file(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.chmod(path + ".new", mode)
        self.give(path + ".new")
        d = os.path.dirname(path)
        while d.startswith(self.work) and d != self.work:
            self.give(d)
            d = os.path.dirname(d)
        os.rename(path + ".new", path)
        return path

    def fifo(self, name):
        path = self.path(name)
        os.mkfifo(path)
        os.chmod(path, 0o666)
        return path

    def open_gate(self, path, timeout=PATIENCE, last=True):
        """Lets whoever reads the FIFO go on; waits for the reader.  The
        last time it stays open."""
        done = []

        def run():
            with open(path, "wb"):
                pass
            done.append(1)
        t = threading.Thread(target=run, daemon=True)
        t.start()
        t.join(timeout)
        ok(done, f"nobody reads {path}")
        if last:
            os.unlink(path)

    def configure(self, services):
        user = f"\tuser {self.svc_user}\n" if self.system else ""
        self.write_raw(
            f"listen on 127.0.0.1 port {self.port}\n"
            f"control socket {q(self.sock)} mode 0666\n"
            f"state directory {q(os.path.join(self.base, 'state'))}\n"
            f"mode {self.mode}\necho no\n{self.top}\n"
            f"defaults {{\n\tdirectory {q(self.work)}\n{user}"
            f"\tenv NOTE {q(self.note_path)}\n"
            f"\tstop signal TERM timeout 3s kill wait 1s\n{self.defaults}\n}}\n"
            + services)

    def write_raw(self, text, mode=0o644):
        with open(self.conf + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.conf + ".new", mode)
        if IS_ROOT and not self.system:
            os.chown(self.conf + ".new", self.uid, -1)
        os.rename(self.conf + ".new", self.conf)

    # -- life

    def popen(self, cmd, **kw):
        ids = {}
        if IS_ROOT and not self.system:
            pw = pwd.getpwuid(self.uid)
            ids = {"user": self.uid, "group": pw.pw_gid, "extra_groups": []}
        return subprocess.Popen(cmd, env=kw.pop("env", self.env),
                                cwd=kw.pop("cwd", self.work),
                                stdin=subprocess.DEVNULL, **ids, **kw)

    def start(self, cmd=None, wait=True, timeout=PATIENCE):
        npath = os.path.join(self.base, "notify.sock")
        if os.path.exists(npath):
            os.unlink(npath)
        self.notify = Notify(npath)
        cmd = cmd or [os.path.join(self.bin, "sbin", "keepd"), "-d",
                      "-f", self.conf] + self.args
        self.log_path = os.path.join(self.base, "log")
        self.proc = self.popen(cmd, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE,
                               env=dict(self.env, NOTIFY_SOCKET=npath))
        self.reader = Reader(self.proc.stderr, open(self.log_path, "ab"))
        self.echo = Reader(self.proc.stdout,
                           open(os.path.join(self.base, "echo"), "ab"))
        if wait:
            self.wait_ready(timeout)
        return self

    def sd(self, what, timeout=PATIENCE):
        """Wait for a line of sd_notify that starts so; the line."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            line = self.notify.next(what, min(left, 0.2))
            if line is not None:
                return line
            if self.proc.poll() is not None:
                self.reader.join(2)
                raise AssertionError(
                    f"keepd ended with {self.proc.returncode} before "
                    f"{what}; log:\n" + self.log())
            if left <= 0:
                raise AssertionError(f"no {what} by sd_notify; log:\n"
                                     + self.log())

    def wait_ready(self, timeout=PATIENCE):
        self.sd("READY=1", timeout)

    def wait_exit(self, timeout=PATIENCE):
        try:
            rc = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("keepd does not end; log:\n" + self.log())
        self.reader.join(5)
        return rc

    def stop(self):
        """TERM, and the end must be a good one."""
        if self.proc is None or self.proc.returncode is not None:
            return
        self.proc.send_signal(signal.SIGTERM)
        eq(self.wait_exit(), 0, "exit status of keepd after TERM")

    def __enter__(self):
        try:
            if self.autostart:
                self.start()
        except BaseException:
            self.cleanup(failed=True)
            raise
        return self

    def __exit__(self, kind, value, tb):
        failed = kind is not None and not issubclass(kind, Skip)
        problems = []
        if not failed and self.check:
            try:
                self.stop()
            except AssertionError as e:
                problems.append(str(e))
        problems += self.cleanup(failed or bool(problems))
        if problems and not failed:
            raise AssertionError("; ".join(problems))
        return False

    def cleanup(self, failed=False):
        problems = []
        if self._mcp:
            self._mcp.close()
        if self.ev:
            self.ev.kill()
            self.ev.wait()
        ended = self.proc is None or self.proc.poll() is not None
        if self.proc and not ended:
            kids = descendants(self.proc.pid)
            self.proc.kill()
            self.proc.wait()
            for p in kids:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        # Whatever is left of the tree has become ours.
        left = []
        reap()
        for p in descendants(os.getpid()):
            if alive(p):
                left.append((p, proc_cmdline(p)))
                try:
                    os.kill(p, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
        for p, _ in left:
            try:
                os.waitpid(p, 0)
            except ChildProcessError:
                pass
        reap()
        if left and ended and self.check:
            problems.append(f"processes left behind: {left}")
        if self.reader:
            self.reader.join(5)
            for line in self.log().splitlines():
                if BAD_LOG.search(line) and not (
                        self.allow_log and re.search(self.allow_log, line)):
                    problems.append(f"log: {line}")
            if failed or problems:
                sys.stdout.write("--- keepd's log (last 60 lines)\n" + "".join(
                    line + "\n" for line in self.log().splitlines()[-60:]))
                sys.stdout.flush()
        self.note_sock.close()
        if os.environ.get("KEEPD_E2E_KEEP"):
            print("kept:", self.base)
        else:
            shutil.rmtree(self.base, ignore_errors=True)
        return problems

    def log(self):
        return self.reader.text() if self.reader else ""

    def wait_log(self, regex, timeout=PATIENCE, start=0):
        """A line of keepd's own log; the match."""
        r = self.reader.wait(lambda s: re.search(regex, s), start, timeout)
        if r is None:
            raise AssertionError(f"no {regex!r} in the log:\n" + self.log())
        return r[1]

    def roles(self):
        """{"supervisor": pid, ...} as the process table shows them."""
        out = {}
        for p in descendants(self.proc.pid):
            try:
                exe = os.readlink(f"/proc/{p}/exe")
            except OSError:
                # Non-dumpable: root's business; go by the command line.
                words = proc_cmdline(p)
                exe = words[0] if words else ""
                exe = exe.replace("keepd: ", "/").split(" ")[0]
            name = os.path.basename(exe.split(" (deleted)")[0])
            if name in ("supervisor", "logger", "frontend", "searcher"):
                out.setdefault(name, p)
        return out

    # -- what services say

    def note(self, text=None, service=None, timeout=PATIENCE, **more):
        """The next note (with this text, of this service), as a dict."""
        def fits(n):
            return ((text is None or n["note"] == text)
                    and (service is None or n["service"] == service)
                    and all(n.get(k) == v for k, v in more.items()))
        for i, n in enumerate(self.notes):
            if fits(n):
                return self.notes.pop(i)
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.note_sock], [], [],
                                              left)[0]:
                raise AssertionError(
                    f"no note {text!r} of {service!r}; had {self.notes}; "
                    f"log:\n{self.log()}")
            n = json.loads(self.note_sock.recv(1 << 20))
            if fits(n):
                return n
            self.notes.append(n)

    def drain_notes(self):
        """All that has come so far."""
        while select.select([self.note_sock], [], [], 0)[0]:
            self.notes.append(json.loads(self.note_sock.recv(1 << 20)))
        out, self.notes = self.notes, []
        return out

    # -- keepctl

    def ctl_cmd(self, *args):
        return [os.path.join(self.bin, "bin", "keepctl"), "-s", self.sock,
                *map(str, args)]

    def ctl(self, *args, rc=0, timeout=PATIENCE, env=None):
        """keepctl with these arguments; must leave with rc (None: any)."""
        e = dict(self.env, **(env or {}))
        p = self.popen(self.ctl_cmd(*args), env=e, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise AssertionError(f"keepctl {' '.join(map(str, args))}: "
                                 "no answer")
        r = Result(p.returncode, out.decode(errors="replace"),
                   err.decode(errors="replace"))
        if rc is not None and r.rc != rc:
            raise AssertionError(f"keepctl {' '.join(map(str, args))}: "
                                 f"want status {rc}: {r}")
        return r

    def rec(self, name):
        """The record of a service, as keepctl -j shows it."""
        r = self.ctl("-j", "status", name).json()
        if isinstance(r, list):
            r = r[0]
        if "processes" in r:
            r = r["processes"][0]
        return r

    def state(self, name):
        return self.rec(name)["state"]

    def pid(self, name):
        return self.rec(name)["pid"]

    def events(self):
        """The stream of `keepctl -j events -f`, opened once."""
        if self.ev is None:
            self.ev = self.popen(self.ctl_cmd("-j", "events", "-f"),
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
            self.ev_reader = Reader(
                self.ev.stdout, open(os.path.join(self.base, "events"), "ab"))
        return self.ev_reader

    def until(self, cond, what="", timeout=PATIENCE):
        """Wait until cond() is true; looks again after each event."""
        rd = self.events()
        end = time.monotonic() + timeout
        seen = 0
        while True:
            with rd.cond:
                seen = len(rd.lines)
            v = cond()
            if v:
                return v
            with rd.cond:
                while len(rd.lines) == seen and not rd.eof:
                    left = end - time.monotonic()
                    # A condition may rest on more than events: look again
                    # now and then, at worst.
                    if left <= 0 or not rd.cond.wait(min(left, 0.25)):
                        break
            if time.monotonic() > end:
                raise AssertionError(
                    f"still not {what or cond}: "
                    + self.ctl("status", rc=None).out + "\nevents:\n"
                    + rd.text()[-3000:])

    def until_state(self, name, *states, timeout=PATIENCE):
        self.until(lambda: self.state(name) in states,
                   f"{name} is {' or '.join(states)}", timeout)
        return self.rec(name)

    # -- HTTP and MCP

    @property
    def mcp(self):
        if self._mcp is None:
            self._mcp = Mcp(self.port)
        return self._mcp

    def http(self, method, path, body=None, headers=None, timeout=PATIENCE):
        c = http.client.HTTPConnection("127.0.0.1", self.port,
                                       timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, dict((k.lower(), v)
                                  for k, v in r.getheaders()), r.read()
        finally:
            c.close()

    def raw_http(self, data, timeout=PATIENCE, half_close=False):
        """Bytes as they are; (status or None, whole answer)."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      timeout=timeout) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return read_answer(s)

    def search(self, name, pattern=None, **kw):
        if pattern is not None:
            kw["pattern"] = pattern
        return self.mcp.text("search_logs", process=name, **kw)

    def lines(self, name, pattern=None, **kw):
        kw.setdefault("max_bytes", 1048576)
        return self.search(name, pattern, **kw).split("\n")

    def await_log(self, name, pattern, timeout=15):
        """Block in keepd until a line of the newest run matches."""
        d = self.mcp.data("wait_for", target=name, until="log",
                          pattern=pattern, since="run", timeout=timeout)
        eq(d["reason"], "matched", f"waiting for {pattern!r} of {name}")
        return d

    def healthy(self):
        """Everybody answers: status, search, keepctl, the roles are there."""
        self.mcp.text("get_status")
        self.ctl("status")
        r = self.roles()
        for role in ("supervisor", "logger", "frontend"):
            ok(role in r, f"no {role}: {r}")

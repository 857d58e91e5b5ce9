"""Abuse of the control socket: garbage, half frames, a thousand clients,
wrong versions, every message there is.  Only the client is closed."""
import os
import random
import re
import socket
import struct
import threading

from keepd import BIN, Keepd, PATIENCE, alive, eq, has, ok, service, test

HEADER = struct.Struct("=IIII")


def types():
    """{"IMSG_CTL_HELLO": n, ...} out of proto.h."""
    with open(os.path.join(BIN, "proto.h"), encoding="utf-8") as f:
        text = f.read()
    body = text.split("enum imsg_type {", 1)[1].split("};", 1)[0]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    out, n = {}, 0
    for word in re.findall(r"(\w+)(?:\s*=\s*\d+)?\s*,|(\w+)\s*$", body):
        out[word[0] or word[1]] = n
        n += 1
    return out


def frame(kind, payload=b"", ident=1):
    return HEADER.pack(kind, HEADER.size + len(payload), ident, 0) + payload


def connect(k):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(k.sock)
    return s


def closed(s):
    """1 if the other side closes; what it sent first does not matter."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def send(s, data):
    """0 when the other side has closed already."""
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def hello(k):
    s = connect(k)
    s.sendall(frame(types()["IMSG_CTL_HELLO"], struct.pack("=I", 1)))
    got = s.recv(65536)
    eq(HEADER.unpack(got[:16])[0], types()["IMSG_CTL_WELCOME"], "welcome")
    return s


def undisturbed(k, n, roles):
    ok(alive(n["pid"]), "the service died")
    eq(k.pid("a"), n["pid"], "the service was restarted")
    eq(k.roles(), roles, "keepd's processes changed")
    k.healthy()


def victim(k):
    return k.note("up"), k.roles()


@test(tags=("san",))
def control_garbage():
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        rnd = random.Random(1)
        for data in (b"\0" * 64, b"\xff" * 64, os.urandom(65536),
                     b"GET / HTTP/1.1\r\n\r\n", b"\n" * 100,
                     HEADER.pack(1, 0, 0, 0), HEADER.pack(1, 15, 0, 0),
                     HEADER.pack(1, 0xffffffff, 0, 0),
                     HEADER.pack(1, 0x80000010, 0, 0),
                     HEADER.pack(1, 0x7fffffff, 0, 0),
                     HEADER.pack(0, 16, 0, 0),
                     HEADER.pack(0xffffffff, 16, 0, 0),
                     HEADER.pack(1, (1 << 17) + 16, 0, 0)):
            s = connect(k)
            send(s, data)
            ok(closed(s), f"not closed after {data[:20]!r}")
            s.close()
            s = hello(k)
            send(s, data)
            ok(closed(s), f"not closed after hello and {data[:20]!r}")
            s.close()
        for _ in range(200):
            s = connect(k)
            send(s, rnd.randbytes(rnd.randrange(1, 200)))
            s.close()
        undisturbed(k, n, roles)


@test(tags=("san",))
def control_wrong_versions():
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        t = types()
        for v in (0, 2, 99, 0xffffffff):
            s = connect(k)
            send(s, frame(t["IMSG_CTL_HELLO"], struct.pack("=I", v)))
            ok(closed(s), f"version {v}")
        for size in (0, 3, 5, 8, 1000, 65520):
            s = connect(k)
            send(s, frame(t["IMSG_CTL_HELLO"], b"\1" + b"\0" * (size - 1)
                          if size else b""))
            ok(closed(s), f"hello of {size} bytes")
        s = hello(k)
        s.sendall(frame(t["IMSG_CTL_HELLO"], struct.pack("=I", 1)))
        ok(closed(s), "a second hello")
        undisturbed(k, n, roles)


@test(tags=("san",))
def control_every_message_and_length():
    """Every type, before and after the hello, at lengths of every class;
    random payloads.  The client is closed or answered; nothing else."""
    with Keepd(service("a", "note:up", "hang"), mode="dev") as k:
        n, roles = victim(k)
        t = types()
        rnd = random.Random(2)
        # These do what they say when well-formed and allowed.
        mean_it = {"IMSG_CTL_SHUTDOWN", "IMSG_CTL_RELOAD"}
        for name, kind in t.items():
            if name in ("IMSG_NONE", "IMSG_TYPE_COUNT"):
                continue
            for size in (0, 1, 3, 4, 5, 264, 265, 300, 700, 1024, 4095,
                         65519, 65520):
                if name in mean_it and size == 0:
                    continue
                for greet in (False, True):
                    s = hello(k) if greet else connect(k)
                    # Never a known target: random letters, or zeros that
                    # mean "all" only to status.
                    body = bytes(rnd.randrange(128, 256)
                                 for _ in range(min(size, 64)))
                    body = (body * (size // 64 + 1))[:size]
                    send(s, frame(kind, body, rnd.randrange(1 << 32)))
                    s.shutdown(socket.SHUT_WR)
                    ok(closed(s), f"{name} {size}")
                    s.close()
        undisturbed(k, n, roles)


@test(tags=("san",))
def control_half_frames():
    """Frames cut at every byte, sent byte by byte, and left open."""
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        t = types()
        good = frame(t["IMSG_CTL_HELLO"], struct.pack("=I", 1)) \
            + frame(t["IMSG_CTL_VERSION"])
        held = []
        for i in range(len(good)):
            s = connect(k)
            s.sendall(good[:i])
            held.append(s)
            if len(held) > 12:                  # a user has a share of them
                held.pop(0).close()
        s = connect(k)
        for i in range(len(good)):
            s.sendall(good[i:i + 1])
        ok(len(s.recv(65536)) > 16, "byte by byte is a good client")
        k.ctl("status")
        for s in held:
            s.close()
        undisturbed(k, n, roles)


@test(timeout=60)
def control_thousand_connections():
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        socks = []
        for i in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            try:
                s.connect(k.sock)
                if i % 2:
                    s.send(b"\0" * (i % 16))
            except OSError:
                pass                            # refused is fine
            socks.append(s)
        k.mcp.text("get_status")                # HTTP is not touched by it
        for s in socks:
            s.close()
        k.until(lambda: k.ctl("status", rc=None).rc == 0, "answered again")
        undisturbed(k, n, roles)


@test(timeout=60)
def control_client_that_reads_nothing():
    """Asks for everything again and again and never reads: it is closed,
    memory stays bounded."""
    conf = "".join(service(f"s{i}", "hang", extra="autostart no")
                   for i in range(100))
    with Keepd(conf + service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        t = types()
        s = hello(k)
        s.settimeout(5)
        ask = frame(t["IMSG_CTL_STATUS"], b"\0" * 264)
        try:
            for _ in range(20000):
                s.sendall(ask)
        except OSError:
            pass                                # closed, or held up: both good
        with open(f"/proc/{roles['supervisor']}/status",
                  encoding="utf-8") as f:
            rss = [int(x.split()[1]) for x in f if x.startswith("RssAnon")][0]
        ok(rss < 64 * 1024, f"supervisor holds {rss} KiB")
        s.close()
        undisturbed(k, n, roles)


@test()
def control_descriptors_are_refused():
    """A client may not pass descriptors: no leak in the supervisor."""
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        t = types()

        def count():
            try:
                return len(os.listdir(f"/proc/{roles['supervisor']}/fd"))
            except PermissionError:
                return 0                        # non-dumpable, not ours
        before = count()
        good = HEADER.pack(t["IMSG_CTL_HELLO"], 20 | 1 << 31, 1, 0) \
            + struct.pack("=I", 1)
        for data in (good, frame(t["IMSG_CTL_HELLO"], struct.pack("=I", 1))):
            for _ in range(50):
                s = connect(k)
                try:
                    socket.send_fds(s, [data], [0, 1, 2])
                except OSError:
                    pass
                s.close()
        k.until(lambda: count() <= before + 2, "without leaked descriptors")
        undisturbed(k, n, roles)


@test()
def control_targets():
    """Odd targets: unknown, never a crash."""
    with Keepd(service("a", "note:up", "hang")) as k:
        n, roles = victim(k)
        for bad in ("x" * 255, "x" * 257, "x" * 5000, "\x01", "\xff\xfe", "%s",
                    "../../etc", "a\n", "a b", "[", "[a", "\\", "?b", "-1",
                    "a#1", "a#99", "a#x", "4294967296"):
            r = k.ctl("stop", "--", bad, rc=None)
            ok(r.rc in (1, 2, 4), f"stop {bad!r}: {r}")
        undisturbed(k, n, roles)


@test()
def control_parallel_keepctl():
    """Twenty at once: status, restarts, searches; all are answered."""
    with Keepd(service("a", "out:x", "note:up", "term:0")
               + service("b", "note:up", "hang")) as k:
        k.note("up")
        k.note("up")
        bad = []

        def ask(i):
            try:
                for _ in range(5):
                    if i % 4 == 0:
                        k.ctl("restart", "a")
                    elif i % 4 == 1:
                        k.ctl("search", "a", "x", rc=None)
                    else:
                        k.ctl("-j", "status").json()
            except Exception as e:
                bad.append(e)
        ts = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        eq(bad, [], "failures")
        eq(k.state("b"), "running", "b")
        k.healthy()


@test()
def keepctl_output_rules():
    """-j is JSON alone; no colours off a terminal; errors in one line."""
    with Keepd(service("a", "note:up", "hang")) as k:
        k.note("up")
        for args in (("status",), ("status", "a"), ("version",)):
            r = k.ctl("-j", *args)
            r.json()
            eq(r.err, "", "stderr")
        r = k.ctl("status", env={"NO_COLOR": ""})
        ok("\x1b" not in r.out, "colours in a pipe")
        has(r.out, "a", "running")
        r = k.ctl("-q", "restart", "a")
        eq(r.out, "", "-q")
        r = k.ctl("stop", "zz", rc=4)
        eq((r.out, len(r.err.strip().splitlines())), ("", 1), "an error")
        r = k.ctl("-j", "stop", "zz", rc=4)
        ok(not r.out or r.json(), "-j with an error")

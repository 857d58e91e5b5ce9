"""A service that does what its arguments say, one step after the other.

Every step is WORD or WORD:VALUE.  Notes go as JSON datagrams to the socket
named by NOTE, with the pid and the monotonic time, so that a test waits for
an event instead of sleeping.
"""
import json
import os
import signal
import socket
import sys
import time


def note(text, **more):
    path = os.environ.get("NOTE")
    if not path:
        return
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    more.update(note=text, pid=os.getpid(), t=time.monotonic(),
                run=os.environ.get("KEEPD_RUN"),
                service=os.environ.get("KEEPD_SERVICE"))
    try:
        s.sendto(json.dumps(more).encode(), path)
    except OSError:
        pass
    s.close()


def write(fd, data):
    while data:
        data = data[os.write(fd, data):]


def status_of(pid="self"):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1)
                    for line in f if ":\t" in line)


def limits_of():
    rows = {}
    with open("/proc/self/limits", encoding="utf-8") as f:
        for line in f.readlines()[1:]:
            rows[line[:26].strip()] = line[26:].split()[:2]
    return rows


def report(_):
    fds = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            fds[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass                                # the listing's own
    mask = os.umask(0)
    os.umask(mask)
    note("report", argv=sys.argv, env=dict(os.environ), cwd=os.getcwd(),
         umask=mask, sid=os.getsid(0), pgid=os.getpgid(0), ppid=os.getppid(),
         uid=os.getresuid(), gid=os.getresgid(), groups=os.getgroups(),
         fds=fds, status=status_of(), limits=limits_of(),
         tty=os.isatty(0), nice=os.nice(0))


def hang(_):
    while True:
        signal.pause()


def on_term(value):
    """At TERM say so, leave with the status given."""
    def leave(*_):
        note("term")
        os._exit(int(value or 0))
    signal.signal(signal.SIGTERM, leave)


def tree(_):
    """Children as awkward as they come; each says its pid before we go on."""
    def child(fn):
        r, w = os.pipe()
        if os.fork() == 0:
            os.close(r)
            fn(w)
            os._exit(0)
        os.close(w)
        data = b""
        while True:
            more = os.read(r, 100)
            if not more:
                break
            data += more
        os.close(r)
        pids.append(int(data))

    def say(w):
        os.write(w, str(os.getpid()).encode())
        os.close(w)

    def plain(w):
        say(w)
        hang(None)

    def deaf(w):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(s, signal.SIG_IGN)
        say(w)
        hang(None)

    def session(w):
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(w)
        hang(None)

    def bare(w):
        """No environment left, own group, daemonized twice."""
        os.setsid()
        if os.fork():
            os._exit(0)
        os.setsid()
        say(w)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execve("/bin/sleep", ["sleep", "300"], {})

    pids = []
    for fn in (plain, deaf, session, bare):
        child(fn)
    note("tree", pids=pids)


def lines(value):
    n, _, prefix = value.partition(",")
    prefix = prefix or "line"
    write(1, "".join(f"{prefix} {i}\n" for i in range(1, int(n) + 1)).encode())


def wide(value):
    """So many lines of so many x."""
    n, _, width = value.partition(",")
    write(1, (b"x" * int(width) + b"\n") * int(n))


def count(value):
    """Numbered lines for ever (or so many), a short pause after each lot."""
    lot, _, total = value.partition(",")
    i, last = 0, int(total or 0)
    while last == 0 or i < last:
        write(1, "".join(f"n {j}\n" for j in range(i + 1, i + 1 + int(lot)))
              .encode())
        i += int(lot)
        time.sleep(0.001)


def both(value):
    for i in range(1, int(value) + 1):
        write(1, f"o {i}\n".encode())
        write(2, f"e {i}\n".encode())


def solid(value):
    """So many MiB without a newline."""
    block = b"x" * (1 << 20)
    for _ in range(int(value)):
        write(1, block)


def flood(value):
    """So many MiB of numbered lines, as fast as the pipe takes them."""
    n, i = int(value) << 20, 0
    while n > 0:
        block = "".join(f"flood {j:09d} {'y' * 80}\n"
                        for j in range(i, i + 2000)).encode()
        i += 2000
        write(1, block)
        n -= len(block)
    note("flooded", lines=i)


def hexout(value):
    write(1, bytes.fromhex(value))


def on(value):
    """on:SIG,TEXT - a note at each such signal."""
    name, _, text = value.partition(",")
    signal.signal(getattr(signal, "SIG" + name),
                  lambda *_: note(text or name))


def wait_fifo(path):
    """Until the test opens the gate; one that is gone stands open."""
    try:
        with open(path, "rb") as f:
            f.read()
    except FileNotFoundError:
        pass


def block_term(path):
    """On TERM wait for the FIFO before leaving: a slow stop of a known end."""
    def leave(*_):
        note("term")
        wait_fifo(path)
        os._exit(0)
    signal.signal(signal.SIGTERM, leave)


def listen_tcp(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(port)))
    s.listen(8)
    globals()["_keep"] = s


def if_file(value):
    """if:PATH,STEP - the step only if the file is there."""
    path, _, step = value.partition(",")
    if os.path.exists(path):
        do(step)


STEPS = {
    "note": note,
    "report": report,
    "out": lambda v: write(1, v.encode() + b"\n"),
    "err": lambda v: write(2, v.encode() + b"\n"),
    "part": lambda v: write(1, v.encode()),
    "hex": hexout,
    "lines": lines,
    "wide": wide,
    "count": count,
    "both": both,
    "solid": solid,
    "flood": flood,
    "exit": lambda v: os._exit(int(v)),
    "kill": lambda v: os.kill(os.getpid(), getattr(signal, "SIG" + v)),
    "pause": lambda v: time.sleep(float(v)),
    "hang": hang,
    "deaf": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "on": on,
    "term": hang,
    "blockterm": hang,
    "wait": wait_fifo,
    "tree": tree,
    "tcp": listen_tcp,
    "if": if_file,
}


def do(step):
    word, _, value = step.partition(":")
    STEPS[word](value)


if __name__ == "__main__":
    # Handlers first: a note may be answered with TERM at once.
    for arg in sys.argv[1:]:
        if arg.startswith("term:"):
            on_term(arg[5:])
        elif arg.startswith("blockterm:"):
            block_term(arg[10:])
    for arg in sys.argv[1:]:
        do(arg)

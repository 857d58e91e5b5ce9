"""Processes as the kernel shows them, and being somebody else for a moment."""
import ctypes
import json
import os
import random
import select
import socket

PR_SET_CHILD_SUBREAPER = 36
# A machine under load is slow, not wrong.
PATIENCE = 20.0


def become_subreaper():
    """Whatever our keepds leave behind becomes our child, so we see it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def proc_status(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return dict(line.rstrip("\n").split(":\t", 1)
                        for line in f if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return None


def proc_cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def proc_stat(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8",
                  errors="replace") as f:
            s = f.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    rest = s[s.rindex(")") + 2:].split()
    return {"comm": s[s.index("(") + 1:s.rindex(")")], "state": rest[0],
            "ppid": int(rest[1]), "pgrp": int(rest[2]), "sid": int(rest[3]),
            "start": int(rest[19])}


def alive(pid):
    st = proc_stat(pid)
    return st is not None and st["state"] not in "ZX"


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def children(pid):
    out = []
    for p in pids():
        st = proc_stat(p)
        if st and st["ppid"] == pid:
            out.append(p)
    return out


def descendants(pid):
    kids, out = {}, []
    for p in pids():
        st = proc_stat(p)
        if st:
            kids.setdefault(st["ppid"], []).append(p)
    todo = [pid]
    while todo:
        for c in kids.get(todo.pop(), []):
            out.append(c)
            todo.append(c)
    return out


def wait_gone(pid, timeout=PATIENCE):
    """Wait for the end of a process that need not be our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], timeout)[0]:
            raise AssertionError(
                f"process {pid} {proc_cmdline(pid)} is still there")
    finally:
        os.close(fd)


def reap():
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def as_user(uid, fn):
    """fn() in a child that is that user; its result, or what it raised."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            os.close(r)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            data = json.dumps(fn())
        except BaseException as e:              # the child must not go on
            code, data = 1, repr(e)
        os.write(w, data.encode())
        os._exit(code)
    os.close(w)
    data = b""
    while True:
        more = os.read(r, 65536)
        if not more:
            break
        data += more
    os.close(r)
    if os.waitpid(pid, 0)[1] != 0:
        raise AssertionError(f"as uid {uid}: {data.decode()}")
    return json.loads(data)


def free_port():
    """Below the ephemeral range, so that nobody's client sits on it."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue

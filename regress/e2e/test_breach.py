"""A program that means harm in the place of the frontend, and of the logger:
what it can reach is what the ceilings let a network client reach."""
import os
import shutil
import struct
import subprocess
import threading
import time

from keepd import (BIN, Keepd, PYTHON, SVC, Skip, alive, descendants, eq, has,
                   ok, proc_cmdline, service, test)

HOSTILE = os.path.join(BIN, "regress", "breach-frontend")


def tree(k, role):
    """The programs, with the hostile one in this place."""
    if not os.path.exists(HOSTILE):
        raise Skip("regress/breach-frontend was not built "
                   "(make check-programs)")
    top = os.path.join(k.base, "tree")
    for sub in ("sbin", "bin", "libexec"):
        shutil.copytree(os.path.join(BIN, sub), os.path.join(top, sub))
    shutil.copy2(HOSTILE, os.path.join(top, "libexec/keepd", role))
    k.bin = top
    k.breach = os.path.join(top, "libexec/keepd", "breach.state")
    return k


def breach_state(k):
    with open(k.breach, "rb") as f:
        data = f.read(24)
    names = ("lives", "supervisor", "other", "parent", "sent", "closed")
    return dict(zip(names, struct.unpack("=6I", data)))


class Watch(threading.Thread):
    """Every command that is seen below keepd, while it runs."""

    def __init__(self, k):
        super().__init__(daemon=True)
        self.k, self.seen, self.on = k, set(), True
        self.start()

    def run(self):
        while self.on:
            for p in descendants(self.k.proc.pid):
                words = proc_cmdline(p)
                if words:
                    self.seen.add(tuple(words))
            time.sleep(0.002)

    def end(self):
        self.on = False
        self.join()
        return self.seen


SERVICES = (service("free", "note:free", "term:0")
            + service("look", "note:look", "term:0",
                      extra="allow network observe")
            + service("hide", "note:hide", "term:0",
                      extra="allow network none")
            + service("two", "note:two", "tree", "term:0",
                      extra="autostart no\nstop timeout 300ms"))


def allowed(words):
    """A process of keepd, or a command of the configuration."""
    if words[0].startswith("keepd: ") or words[0].endswith("/keepd"):
        return True
    if words[0] == PYTHON and words[3] == SVC:
        return list(words[4:]) in (["note:free", "term:0"],
                                   ["note:look", "term:0"],
                                   ["note:hide", "term:0"],
                                   ["note:two", "tree", "term:0"])
    return words == ("sleep", "300")            # of `tree`


@test(timeout=90, tags=("san",))
def breach_frontend():
    """No command but the configured ones, ceilings held, supervisor and
    logger alive and the same."""
    k = tree(Keepd(SERVICES, start=False), "frontend")
    with k:
        k.start()
        pids = {s: k.note(s)["pid"] for s in ("free", "look", "hide")}
        roles = {r: p for r, p in k.roles().items() if r != "frontend"}
        ok({"supervisor", "logger", "searcher"} <= set(roles), f"{roles}")
        watch = Watch(k)
        end = time.monotonic() + 12
        while time.monotonic() < end:
            st = breach_state(k)
            if st["lives"] >= 12:
                break
            k.ctl("status")                     # answered all the while
            k.drain_notes()
            time.sleep(0.05)
        seen = watch.end()
        st = breach_state(k)
        ok(st["lives"] >= 3 and st["sent"] > 1000 and st["closed"] >= 4,
           f"it did not do its work: {st}")
        for words in seen:
            ok(allowed(words), f"ran: {words}")
        now = {r: p for r, p in k.roles().items() if r != "frontend"}
        eq(now, roles, "supervisor, logger, searcher")
        for s in ("look", "hide"):
            r = k.rec(s)
            eq((r["pid"], r["run"], r["state"]), (pids[s], 1, "running"),
               f"{s} was touched")
            ok(alive(pids[s]), f"{s} is dead")
        ok(k.rec("free")["run"] >= 1, "free")
        for name in ("breach", "touch", "a;"):
            ok(not os.path.exists(k.path(name)), f"{name} was made")
            ok(not os.path.exists(os.path.join("/tmp", name)), name)
        # Who was it?  The log tells, and names no sentence of the attacker.
        has(k.log(), "frontend")
        k.ctl("search", "look", "x")
        k.ctl("restart", "look")
        k.note("look")
        print(f"{st}")


@test(timeout=90)
def breach_logger():
    """It can lie about logs and nothing more."""
    k = tree(Keepd(SERVICES, start=False), "logger")
    with k:
        k.start()
        pids = {s: k.note(s)["pid"] for s in ("free", "look", "hide")}
        sup = k.roles()["supervisor"]
        watch = Watch(k)
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if breach_state(k)["lives"] >= 8:
                break
            k.ctl("status")
            time.sleep(0.05)
        seen = watch.end()
        st = breach_state(k)
        ok(st["lives"] >= 2 and st["closed"] >= 2, f"no work done: {st}")
        for words in seen:
            ok(allowed(words), f"ran: {words}")
        eq(k.roles()["supervisor"], sup, "supervisor")
        for s, p in pids.items():
            r = k.rec(s)
            eq((r["pid"], r["run"], r["state"]), (p, 1, "running"), s)
        k.ctl("restart", "free")
        k.note("free")
        ok(not os.path.exists(k.path("breach")), "a command ran")
        print(f"{st}")


def links(role, peer, *allowed):
    """Each case of breach/cases.h down a fresh link to one program."""
    prog = os.path.join(BIN, "regress", "breach-links")
    if not os.path.exists(prog):
        raise Skip("regress/breach-links was not built (make check-programs)")
    p = subprocess.run(
        [prog, os.path.join(BIN, "libexec/keepd", role), role, peer,
         *("IMSG_" + a for a in allowed)],
        capture_output=True, timeout=80, cwd="/tmp")
    ok(p.returncode == 0, p.stderr.decode(errors="replace")[-3000:])
    has(p.stdout.decode(), "cases")


@test(modes="user", timeout=90)
def links_frontend_to_supervisor():
    """2000 messages: what is not allowed costs the link, nothing more."""
    links("supervisor", "frontend", "PEERADDR", "CONN_CLOSED", "DESCRIBE",
          "ACTION", "WAIT", "UNWAIT", "ACTIVITY")


@test(modes="user", timeout=90)
def links_logger_to_supervisor():
    links("supervisor", "logger", "GRANTED", "DRAINED", "DATA", "END")


@test(modes="user", timeout=90)
def links_frontend_to_logger():
    links("logger", "frontend", "QUERY", "CREDIT", "CANCEL")


@test(modes="user", timeout=90)
def links_logger_to_frontend():
    links("frontend", "logger", "DATA", "END")

"""The tree of a service where a cgroup (version 2) is delegated to keepd: it
ends as a whole, however hard its processes try to be somewhere else."""
import os
import pwd
import signal
import time

from keepd import (Keepd, PYTHON, Skip, USER, argv, eq, has, ok, service,
                   test)

# Processes that leave nothing to tell them by: two forks, sessions of their
# own, no environment, deaf to TERM, the limits as if nobody had set them; and
# some that are never the same process for long.
BOMB = r"""
import os, resource, signal, socket, sys, time
sock, n, runners = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r, w = os.pipe()

def deaf():
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)

for i in range(n + runners):
    if os.fork():
        continue
    os.setsid()
    if os.fork():
        os._exit(0)
    deaf()
    os.setsid()
    resource.setrlimit(10, (resource.getrlimit(10)[1],) * 2)  # LOCKS
    os.write(w, b"x")
    if i < n:
        os.execve("/bin/sleep", ["sleep", "300"], {})
    while True:
        time.sleep(0.002)
        if os.fork():
            os._exit(0)
        os.setsid()
got = 0
while got < n + runners:
    got += len(os.read(r, 4096))
deaf()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b'{"note": "bomb", "service": "bomb"}', sock)
signal.pause()
"""


class Delegated:
    """A fresh cgroup that this test, and so keepd, runs in."""

    def __init__(self, uid):
        with open("/proc/self/mounts", encoding="utf-8") as f:
            mounts = [line.split() for line in f]
        top = [m[1] for m in mounts if m[2] == "cgroup2"]
        if not top:
            raise Skip("no cgroup2 is mounted")
        self.top = top[0]
        with open("/proc/self/cgroup", encoding="utf-8") as f:
            own = [s.rstrip("\n")[3:] for s in f if s.startswith("0::")]
        self.home = os.path.join(self.top, own[0].lstrip("/"))
        self.dir = os.path.join(self.home, f"keepd-e2e-{os.getpid()}")
        try:
            os.mkdir(self.dir)
        except OSError as e:
            raise Skip(f"no cgroup can be made in {self.home}: {e}")
        if not os.path.exists(os.path.join(self.dir, "cgroup.kill")):
            os.rmdir(self.dir)
            raise Skip("cgroup.kill takes Linux 5.14")
        for f in ("", "cgroup.procs", "cgroup.subtree_control"):
            os.chown(os.path.join(self.dir, f), uid, -1)

    def move(self, where):
        with open(os.path.join(where, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write("0")

    def __enter__(self):
        self.move(self.dir)
        return self

    def __exit__(self, *_):
        self.move(self.home)
        for _ in range(100):                    # the dying hold it a while
            for top, dirs, _ in os.walk(self.dir, topdown=False):
                try:
                    os.rmdir(top)
                except OSError:
                    pass
            if not os.path.exists(self.dir):
                return
            time.sleep(0.02)
        raise AssertionError(f"{self.dir} cannot be removed")

    def below(self):
        """{"web.0": [pids]} of the cgroups that keepd has made."""
        out = {}
        for top, _, _ in os.walk(self.dir):
            try:
                with open(os.path.join(top, "cgroup.procs"),
                          encoding="ascii") as f:
                    out[os.path.relpath(top, self.dir)] = f.read().split()
            except FileNotFoundError:
                pass
        return out

    def of(self, name):
        return {k.rsplit("/", 1)[1]: v for k, v in self.below().items()
                if "/" + name + "." in k}


def bomb(k, n=40, runners=6):
    k.file("bomb.py", BOMB)
    words = argv(PYTHON, "-S", "-E", k.path("bomb.py"), k.note_path, n,
                 runners)
    return f"service bomb {{\n\tcommand {words}\n}}\n"


def ends_as_a_whole(uid):
    """A bomb goes with stop, with a crash of its main process and with keepd;
    what was beside it stays."""
    with Delegated(uid or 0) as cg:
        k = Keepd(start=False, uid=uid, args=("-v",))
        k.configure(bomb(k) + service("calm", "note:up", "hang"))
        with k:
            k.start()
            k.wait_log("told by its cgroup")
            k.note("up", service="calm")
            k.note("bomb")
            eq(len(cg.of("calm")), 1, f"cgroups of calm: {cg.below()}")
            (pids,) = cg.of("bomb").values()
            ok(len(pids) > 40, f"processes of the bomb: {pids}")
            calm = k.pid("calm")
            k.ctl("stop", "bomb")
            eq(k.state("bomb"), "stopped", "state")
            eq(cg.of("bomb"), {}, "cgroup after stop")
            for p in pids:
                ok(not os.path.exists(f"/proc/{p}"), f"process {p} is there")
            eq(k.pid("calm"), calm, "the other service")

            # The main process alone dies: the rest must not outlive it.
            k.ctl("start", "bomb")
            k.note("bomb")
            (pids,) = cg.of("bomb").values()
            os.kill(k.pid("bomb"), signal.SIGKILL)
            k.until(lambda: not any(os.path.exists(f"/proc/{p}")
                                    for p in pids), "all gone after a crash")
            k.ctl("start", "bomb", rc=None)     # unless it is up already
            k.until_state("bomb", "running")
        eq([d for d in cg.below() if d != "."], [], "left after keepd's end")


@test(modes="root")
def cgroup_user_mode():
    ends_as_a_whole(pwd.getpwnam(USER).pw_uid)


@test(modes="root")
def cgroup_system_mode():
    ends_as_a_whole(None)


@test(modes="root")
def cgroup_supervisor_dies():
    """The parent ends what is left, and removes the cgroups."""
    uid = pwd.getpwnam(USER).pw_uid
    with Delegated(uid) as cg:
        k = Keepd(start=False, uid=uid, check=False)
        k.configure(bomb(k))
        with k:
            k.start()
            k.note("bomb")
            (pids,) = cg.of("bomb").values()
            os.kill(k.roles()["supervisor"], signal.SIGKILL)
            k.wait_exit()
            for p in pids:
                ok(not os.path.exists(f"/proc/{p}"), f"process {p} is there")
            eq([d for d in cg.below() if d != "."], [], "left")


@test(modes="root")
def cgroup_of_a_build():
    """A build has a cgroup of its own while it runs."""
    uid = pwd.getpwnam(USER).pw_uid
    with Delegated(uid) as cg:
        k = Keepd(start=False, uid=uid, args=("-v",))
        gate = k.fifo("gate")
        k.configure(service("b", "note:up", "hang", extra="build " + argv(
            "/bin/sh", "-c", f"read x <{gate}; true")))
        with k:
            k.start()
            k.until_state("b", "building")
            (pids,) = cg.of("b").values()
            eq(len(pids), 1, f"processes of the build: {cg.below()}")
            k.open_gate(gate)
            k.note("up")
            ok(list(cg.of("b").values()) == [[str(k.pid("b"))]],
               f"cgroups of b: {cg.below()}")


@test()
def cgroup_not_delegated():
    """Without one, keepd says so once and does as well as it can."""
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        if "0::/\n" not in f.readlines():
            raise Skip("a cgroup may be delegated to this test itself")
    with Keepd(service("a", "note:up", "hang"), args=("-v",)) as k:
        k.note("up")
        k.wait_log("told by its rlimit mark")
        eq(k.log().count("what belongs to a service"), 1, "said once")
        has(k.ctl("stop", "a").out, "stopped")

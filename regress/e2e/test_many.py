"""Many services: limits of open files, and a stop of all of them at once."""
import os
import time

from keepd import Keepd, argv, eq, has, ok, service, test

MANY = 300                      # need more descriptors than a soft limit of...
SOFT = 1024


def crowd(n):
    """Services that cost next to nothing."""
    return "".join(f"service s{i} {{\n\tcommand {argv('/bin/sleep', 1000)}\n"
                   "\tlog lines 100 runs 2\n}\n" for i in range(n))


def states(k):
    r = k.ctl("-j", "status").json()
    return [p["state"] for p in (r["processes"] if "processes" in r else r)]


def limited(k, how):
    """The command that starts keepd under such a limit."""
    return ["/bin/sh", "-c", f'ulimit {how}; exec "$@"', "sh",
            os.path.join(k.bin, "sbin", "keepd"), "-d", "-f", k.conf]


@test()
def many_soft_limit():
    """The soft limit does not matter; services get the one there was."""
    with Keepd(crowd(MANY) + service("r", "report", "hang"),
               start=False) as k:
        k.start(limited(k, f"-Sn {SOFT}"))
        soft, _ = k.note("report")["limits"]["Max open files"]
        eq(soft, str(SOFT), "soft limit of a service")
        k.until(lambda: states(k) == ["running"] * (MANY + 1), "all running")
        k.healthy()
        t0 = time.monotonic()
        k.ctl("stop", "--all")
        ok(time.monotonic() - t0 < 5, "stop of all took too long")
        eq(set(states(k)), {"stopped"}, "states")


@test()
def many_hard_limit():
    """Where even the hard limit is too low, keepd says so, and how low."""
    with Keepd(crowd(MANY), start=False, check=False) as k:
        k.start(limited(k, f"-n {SOFT}"), wait=False)
        eq(k.wait_exit(), 1, "status")
        has(k.log(), f"{MANY} services need", "open files", str(SOFT),
            "LimitNOFILE")

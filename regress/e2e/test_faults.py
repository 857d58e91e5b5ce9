"""Processes of keepd are killed under load; files change; the rest goes on."""
import os
import signal
import threading
import time

from keepd import Keepd, Mcp, eq, has, ok, service, test, wait_gone


def numbers(k, name, prefix="n"):
    """All retained numbers of a counting service, all runs of it being one."""
    return [int(s.split()[1]) for s in k.lines(name)
            if s.startswith(prefix + " ")]


def killed(k, role, rounds, total):
    """kill -9 of a role so many times while two services count."""
    k.note("up", service="a")
    k.note("up", service="b")
    pids = {s: k.pid(s) for s in "ab"}
    rolepids = set()
    for _ in range(rounds):
        k.until(lambda: role in k.roles()
                and k.roles()[role] not in rolepids, f"a new {role}")
        p = k.roles()[role]
        rolepids.add(p)
        os.kill(p, signal.SIGKILL)
        wait_gone(p)
    k.until(lambda: role in k.roles() and k.roles()[role] not in rolepids,
            f"a new {role}")
    for s in "ab":
        k.note("done", service=s, timeout=30)
    k.until(lambda: _answers(k), "answered again")
    for s in "ab":
        k.until(lambda s=s: numbers(k, s)[-1:] == [total],
                f"the last line of {s}")
        eq(numbers(k, s), list(range(1, total + 1)),
           f"lines of {s}: none lost, none doubled, in order")
        eq(k.pid(s), pids[s], f"{s} was restarted")
        eq(k.rec(s)["run"], 1, "run")


def _answers(k):
    try:
        k.mcp.text("get_status")
        k.lines("a", tail=1)
        return True
    except Exception:
        k.mcp.close()
        return False


def counters(total, lot):
    return "".join(service(s, "note:up", f"count:{lot},{total}", "note:done",
                           "hang", extra="log lines 100000 runs 2")
                   for s in "ab")


@test(tags=("san",))
def frontend_killed_under_load():
    """Services untouched, no line lost, the endpoint back."""
    with Keepd(counters(20000, 10)) as k:
        killed(k, "frontend", 4, 20000)


@test(tags=("san",))
def logger_killed_under_load():
    """Rings and pipes outlive it: no line lost, none doubled."""
    with Keepd(counters(20000, 10)) as k:
        killed(k, "logger", 4, 20000)


@test()
def logger_killed_in_a_flood():
    """Full pipes at the moment of death: 20 MiB, every line once."""
    with Keepd(service("a", "note:up", "flood:20", "out:end", "hang",
                       extra="log lines 1000000 runs 2")
               + service("b", "note:up", "flood:20", "out:end", "hang",
                         extra="log lines 1000000 runs 2")) as k:
        k.note("up")
        k.note("up")
        for _ in range(2):
            p = k.roles().get("logger")
            if p:
                os.kill(p, signal.SIGKILL)
                wait_gone(p)
            k.until(lambda: k.roles().get("logger") not in (None, p),
                    "a new logger")
        n = {k_: 0 for k_ in "ab"}
        for _ in "ab":
            d = k.note("flooded", timeout=30)
            n[d["service"]] = d["lines"]
        for s in "ab":
            k.until(lambda s=s: _last(k, s) == "end", f"the end of {s}")
            m = Mcp(k.port, timeout=30)
            got, cursor = [], None
            while True:
                kw = {"cursor": cursor} if cursor else {}
                d = m.data("search_logs", process=s, max_bytes=1048576, **kw)
                got += [int(x.split()[1]) for x in d["lines"]
                        if x.startswith("flood ")]
                cursor = d["next_cursor"]
                if not cursor:
                    break
            m.close()
            eq(len(got), n[s], f"lines of {s}")
            eq(got == list(range(n[s])), True, f"order of {s}")


def _last(k, s):
    try:
        return k.lines(s, tail=1)[0]
    except Exception:
        return None


@test()
def searcher_killed():
    """The logger ends, both come afresh; logs are whole."""
    with Keepd(service("a", "lines:100", "note:up", "hang")) as k:
        n = k.note("up")
        k.await_log("a", "line 100")
        old = k.roles()
        os.kill(old["searcher"], signal.SIGKILL)
        k.until(lambda: {"searcher", "logger"} <= set(k.roles())
                and k.roles()["searcher"] != old["searcher"], "a new one")
        k.until(lambda: _answers(k), "answered again")
        eq(k.lines("a", "line 100"), [" * line 100"], "search")
        eq(k.pid("a"), n["pid"], "the service")


@test()
def sessions_after_frontend_death():
    """Sessionless clients do not notice; the status is whole at once."""
    with Keepd(service("a", "out:x", "note:up", "hang")) as k:
        k.note("up")
        k.await_log("a", "x")
        p = k.roles()["frontend"]
        os.kill(p, signal.SIGKILL)
        wait_gone(p)
        k.until(lambda: _answers(k), "answered again")
        has(k.mcp.text("get_status"), "a: running")
        eq(k.search("a"), "x", "search")
        k.mcp.call("restart", process="a")
        k.note("up")


@test()
def restart_goes_on_without_frontend():
    """A restart that was asked by HTTP is done though the asker's path
    died; keepctl works all the while."""
    k = Keepd(start=False)
    g = k.fifo("g")
    k.configure(service("a", "note:up", "blockterm:" + g,
                        extra="stop timeout 15s"))
    with k:
        k.start()
        k.note("up")

        def ask():
            m = Mcp(k.port)
            try:
                m.call("restart", process="a")
            except Exception:
                pass                            # its connection is cut
            m.close()
        t = threading.Thread(target=ask)
        t.start()
        k.note("term")
        os.kill(k.roles()["frontend"], signal.SIGKILL)
        k.ctl("status")
        k.open_gate(g)
        k.note("up")
        t.join()
        k.until(lambda: _answers(k), "answered again")


@test(timeout=60)
def frontend_crash_loop_has_a_cap():
    """A frontend that dies again and again is not started without end;
    services and keepctl go on."""
    with Keepd(service("a", "note:up", "hang")) as k:
        n = k.note("up")
        t0 = time.monotonic()
        kills = 0
        seen = set()
        while time.monotonic() - t0 < 6:
            p = k.roles().get("frontend")
            if p and p not in seen:
                seen.add(p)
                os.kill(p, signal.SIGKILL)
                wait_gone(p)
                kills += 1
            else:
                time.sleep(0.002)
        ok(2 <= kills < 200, f"{kills} starts in 6 s: no back-off")
        k.ctl("status")
        eq(k.pid("a"), n["pid"], "the service")


@test()
def supervisor_death_is_told():
    """Without its supervisor keepd ends, told and with nothing left."""
    with Keepd(service("a", "note:up", "hang"), check=False) as k:
        n = k.note("up")
        os.kill(k.roles()["supervisor"], signal.SIGKILL)
        rc = k.wait_exit()
        ok(rc != 0, "a good end without a supervisor")
        has(k.log(), "supervisor")
        wait_gone(n["pid"])


def reload_conf(**change):
    """Three services; change: name=extra lines of its block."""
    return "".join(service(n, f"note:{n}", "term:0",
                           extra=change.get(n, ""))
                   for n in ("one", "two", "three") if change.get(n) != "-")


@test(tags=("san",))
def reload_leaves_the_unchanged_alone():
    """HUP: same pids; a new service starts, a removed one stops."""
    with Keepd(reload_conf(three="-")) as k:
        pids = {s: k.note(s)["pid"] for s in ("one", "two")}
        k.configure(reload_conf(two="-"))
        k.ctl("reload")
        k.note("three")
        wait_gone(pids["two"])
        eq(k.pid("one"), pids["one"], "one was touched")
        k.ctl("status", "two", rc=4)
        text = k.mcp.text("get_status")
        ok("two" not in text, "two is still shown")
        has(text, "one: running", "three: running")
        e = k.mcp.fails("search_logs", "PROCESS_NOT_FOUND", process="two")
        has(e.error, "not found")
        # And back: ids are used again, logs begin anew.
        k.configure(reload_conf(three="-"))
        k.proc.send_signal(signal.SIGHUP)
        k.note("two")
        k.until(lambda: k.ctl("status", "three", rc=None).rc == 4, "gone")
        eq(k.pid("one"), pids["one"], "one was touched")


@test()
def reload_marks_stale():
    """A changed command is in force at the next start; until then stale."""
    with Keepd(reload_conf()) as k:
        pids = {s: k.note(s)["pid"] for s in ("one", "two", "three")}
        k.configure(reload_conf(one='env NEW "1"', two="autostart no")
                    .replace("note:three", "note:3"))
        k.ctl("reload")
        for s, p in pids.items():
            eq(k.pid(s), p, f"{s} was restarted by the reload")
        ok(k.rec("one")["stale"], "one is not stale")
        ok(k.rec("three")["stale"], "three is not stale")
        has(str(k.rec("three")["stale"]), "command")
        has(str(k.rec("one")["stale"]), "env")
        eq(k.rec("two")["stale"], [], "two")
        k.ctl("restart", "three")
        k.note("3")
        eq(k.rec("three")["stale"], [], "stale after the restart")


@test(tags=("san",))
def reload_of_a_bad_file_changes_nothing():
    with Keepd(reload_conf()) as k:
        pids = {s: k.note(s)["pid"] for s in ("one", "two", "three")}
        good = open(k.conf, encoding="utf-8").read()
        for bad in (good + "\nnonsense\n", good + "\nservice x {\n", "",
                    good.replace("service one", "service two"),
                    "\0\xff" * 100):
            k.write_raw(bad)
            r = k.ctl("reload", rc=1)
            ok(r.err.strip(), "no word about it")
            for s, p in pids.items():
                eq(k.pid(s), p, f"{s} after a bad file")
        k.write_raw(good, 0o666)
        has(k.ctl("reload", rc=1).err, "writ")
        os.unlink(k.conf)
        k.ctl("reload", rc=1)
        k.proc.send_signal(signal.SIGHUP)
        k.wait_log("keepd.conf")
        for s, p in pids.items():
            eq(k.pid(s), p, f"{s} without a file")
        k.write_raw(good)
        k.ctl("reload")
        eq(k.drain_notes(), [], "nothing was started")


@test()
def reload_refuses_what_needs_a_start():
    """Endpoints and directories: told, and nothing changes."""
    with Keepd(reload_conf()) as k:
        pids = {s: k.note(s)["pid"] for s in ("one", "two", "three")}
        good = open(k.conf, encoding="utf-8").read()
        k.write_raw(good.replace(f"port {k.port}", f"port {k.port + 3}"))
        r = k.ctl("reload", rc=1)
        has(r.err, "restart keepd")
        for s, p in pids.items():
            eq(k.pid(s), p, f"{s}")
        k.healthy()


@test()
def reload_policy_at_once():
    """Policies of a running service change without a restart."""
    with Keepd(reload_conf(one="restart never")) as k:
        pid = k.note("one")["pid"]
        k.configure(reload_conf(one="restart always\nbackoff none"))
        k.ctl("reload")
        eq(k.pid("one"), pid, "restarted")
        eq(k.rec("one")["stale"], [], "stale")
        os.kill(pid, signal.SIGKILL)
        k.note("one")


@test()
def reloads_in_a_row():
    """Twenty reloads, half of them bad, while clients ask."""
    with Keepd(reload_conf()) as k:
        pids = {s: k.note(s)["pid"] for s in ("one", "two", "three")}
        good = open(k.conf, encoding="utf-8").read()
        for i in range(20):
            k.write_raw(good if i % 2 else good + "\nnonsense\n")
            k.ctl("reload", rc=0 if i % 2 else 1)
            k.mcp.text("get_status")
        for s, p in pids.items():
            eq(k.pid(s), p, f"{s}")

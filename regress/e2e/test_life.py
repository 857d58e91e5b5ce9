"""The life of a service: start, crash, delay, stop, restart, and its tree."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from keepd import (Keepd, Mcp, PATIENCE, alive, argv, descendants, eq, has, ok,
                   q, service, svc_argv, test, wait_gone)

# How much later than configured a restart may be seen on a busy machine;
# the benchmarks measure what is really lost.
SLACK = 0.4


def crash_times(k, n, **more):
    """Start times of n runs; each service notes `up` and `end`."""
    starts, ends = [], []
    for _ in range(n):
        starts.append(k.note("up", **more)["t"])
        ends.append(k.note("end", **more)["t"])
    return [starts[i + 1] - ends[i] for i in range(n - 1)]


def delays(backoff, want, mode="release", extra="", timeout=PATIENCE):
    """The delays before the second, third ... start are these, in seconds."""
    with Keepd(service("a", "note:up", "note:end", "exit:3",
                       extra=f"restart always\nbackoff {backoff}\n"
                             f"attempts 0\n{extra}"), mode=mode) as k:
        got = crash_times(k, len(want) + 1)
        for g, w in zip(got, want):
            ok(w - 0.02 <= g <= w + SLACK, f"delays {got}, want {want}")


@test()
def delay_fixed():
    delays("fixed 300ms free 0", [0.3, 0.3, 0.3])


@test()
def delay_none():
    delays("none", [0, 0, 0])


@test()
def delay_linear():
    delays("linear 100ms max 250ms free 0", [0.1, 0.2, 0.25, 0.25])


@test()
def delay_exponential_with_cap():
    """U-20: initial x multiplier^(k-1), capped, the first one free."""
    delays("exponential 100ms factor 2.0 max 400ms free 1",
           [0, 0.1, 0.2, 0.4, 0.4])


@test()
def delay_of_release_preset():
    """S0-32: 1, 1, 2 seconds (1, 1.5, 2.25 truncated)."""
    with Keepd(service("a", "note:up", "note:end", "exit:3",
                       extra="policy bpm-release")) as k:
        got = crash_times(k, 4)
        for g, w in zip(got, [1, 1, 2]):
            ok(w - 0.02 <= g <= w + SLACK, f"delays {got}")


@test()
def delay_first_in_dev_mode():
    """S0-33: the first crash waits its own time, the second the formula's."""
    delays("exponential 100ms factor 1.5 max 1s free 0 first dev 700ms",
           [0.7, 0.1], mode="dev")


@test()
def delay_first_dev_not_in_release():
    delays("exponential 100ms factor 1.5 max 1s free 0 first dev 700ms",
           [0.1, 0.15])


@test(tags=("san",))
def crash_is_counted_and_told():
    """S0-27, S0-31: exit code, crash count, event; status 0 is a crash too."""
    k = Keepd(start=False)
    k.configure(
        service("code", "note:up", "wait:%s" % k.fifo("g1"), "exit:7",
                extra="restart always\nbackoff fixed 60s free 0")
        + service("zero", "note:up", "wait:%s" % k.fifo("g2"), "exit:0",
                  extra="restart always\nbackoff fixed 60s free 0")
        + service("sig", "note:up", "wait:%s" % k.fifo("g3"), "kill:SEGV",
                  extra="restart always\nbackoff fixed 60s free 0"))
    with k:
        k.start()
        for s in ("code", "zero", "sig"):
            k.note("up", service=s)
        for g in ("g1", "g2", "g3"):
            k.open_gate(k.path(g))
        for name, code, sig in (("code", 7, None), ("zero", 0, None),
                                ("sig", None, 11)):
            r = k.until_state(name, "backoff")
            eq(r["crash_count"], 1, f"crash_count of {name}")
            eq(r["pid"], None, f"pid of {name} (D-13)")
            eq(r["exit"]["exit_code"], code, f"exit_code of {name}")
            ok(str(r["exit"]["signal"]).upper() in (
                ("NONE",) if sig is None else ("11", "SIGSEGV", "SEGV")),
               f"signal of {name}: {r['exit']}")
            ok(r["next_start"] is not None, "next_start")
            text = k.mcp.text("get_status", process=name)
            has(text, "Crash count: 1", "Crashed at", "Started at")
        has(k.mcp.text("get_status", process="code"), "(exit code: 7)")
        text = k.mcp.text("get_status", process="sig")
        ok(not re.search(r"exit code: \d", text),
           f"an exit code for a death by signal (S0-27): {text}")


@test()
def restart_policies():
    """C-23: always, failure, never; exits 0 and 1."""
    k = Keepd(start=False)
    conf = ""
    for name in ("always", "failure", "never"):
        for code in (0, 1):
            conf += service(
                f"{name}{code}", "note:up", f"exit:{code}",
                extra=f"restart {'on ' if name == 'failure' else ''}{name}\n"
                      "backoff fixed 60s free 0")
    k.configure(conf)
    with k:
        k.start()
        want = {"always0": "backoff", "always1": "backoff",
                "failure0": "stopped", "failure1": "backoff",
                "never0": "stopped", "never1": "stopped"}
        for name, state in want.items():
            r = k.until_state(name, state)
            eq(r["exit"]["exit_code"], int(name[-1]), f"exit of {name}")
            if state == "stopped":
                eq(r["exit"]["reason"],
                   "exited" if name[-1] == "0" else "failed",
                   f"reason of {name}")
                eq(r["status"],
                   "stopped" if name[-1] == "0" else "failed",
                   f"status of {name} (C-9)")


@test()
def attempts_used_up():
    """C-30: after so many automatic restarts the service is failed."""
    with Keepd(service("a", "note:up", "exit:2",
                       extra="restart always\nbackoff none\nattempts 3")) as k:
        r = k.until_state("a", "failed")
        eq(len([n for n in k.drain_notes() if n["note"] == "up"]), 4,
           "starts: the first and three attempts")
        eq(r["crash_count"], 4, "crash_count")
        # U-22: asked for, it starts at once, with fresh attempts.
        k.ctl("start", "a", rc=None)
        k.note("up")
        k.until_state("a", "failed")


@test()
def stable_service_gets_its_attempts_back():
    """C-31: up for `stable after`, the attempts begin anew."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("a", "note:up", "wait:" + gate, "exit:1",
                        extra="restart always\nbackoff none\nattempts 1\n"
                              "stable after 300ms"))
    with k:
        k.start()
        for _ in range(4):
            k.note("up")
            time.sleep(0.5)                     # the time itself is tested
            k.open_gate(gate, last=False)
        k.note("up")
        k.open_gate(gate, last=False)           # at once: it was the attempt
        k.until_state("a", "failed")


@test()
def command_missing_or_not_executable():
    """Stage and reason are told, in the key words of U-62."""
    k = Keepd(start=False)
    k.file("plain", "#!/bin/sh\nexit 0\n", 0o644)
    k.file("noexec", "not a program\n", 0o755)
    end = "\trestart never\n}\n"
    k.configure(
        f"service missing {{\n\tcommand {argv('/no/such/program')}\n{end}"
        f"service nopath {{\n\tcommand {argv('no-such-program-x')}\n{end}"
        f"service plain {{\n\tcommand {argv(k.path('plain'))}\n{end}"
        f"service format {{\n\tcommand {argv(k.path('noexec'))}\n{end}"
        f"service isdir {{\n\tcommand {argv(k.work)}\n{end}"
        + service("fine", "note:up", "hang"))
    with k:
        k.start()
        k.note("up", service="fine")
        for name, words in (("missing", "Command not found"),
                            ("nopath", "Command not found"),
                            ("plain", "Permission denied"),
                            ("isdir", "Permission denied"),
                            ("format", "exec")):
            r = k.until_state(name, "failed", "stopped", "backoff")
            eq(r["exit"]["reason"], "start_failed", f"reason of {name}")
            e = k.mcp.fails("restart", "COMMAND_FAILED", process=name)
            has(e.error, words)
            r = k.ctl("start", name, rc=1)
            has(r.err, words)
        eq(k.state("fine"), "running", "the others run")


@test()
def failing_start_is_retried_with_delay():
    """A command that cannot start follows the policy, it does not spin."""
    k = Keepd("service a {\n\tcommand { \"/no/such/program\" }\n"
              "\trestart always\n\tbackoff fixed 200ms free 0\n"
              "\tattempts 3\n}\n")
    with k:
        r = k.until_state("a", "failed")
        eq(r["crash_count"], 4, "crash_count")
        eq(r["exit"]["reason"], "start_failed", "reason")


@test()
def directory_is_gone():
    k = Keepd(service("a", "note:up", "hang",
                      extra="directory \"/no/such/dir\"\nrestart never")
              + service("b", "note:up", "hang"))
    with k:
        k.note("up", service="b")
        r = k.until_state("a", "failed", "stopped")
        eq(r["exit"]["reason"], "start_failed", "reason")
        e = k.mcp.fails("restart", "COMMAND_FAILED", process="a")
        has(e.error, "/no/such/dir", "does not exist")


@test(tags=("san",))
def stop_takes_the_whole_tree():
    """D-1: double forks, own sessions, deaf ones: nobody is left."""
    with Keepd(service("a", "tree", "note:up", "term:0",
                       extra="stop timeout 500ms")) as k:
        tree = k.note("tree")["pids"]
        n = k.note("up")
        for p in tree:
            ok(alive(p), f"{p} of the tree lives")
        k.ctl("stop", "a")
        for p in tree + [n["pid"]]:
            ok(not alive(p), f"{p} is left after the stop")
        r = k.rec("a")
        eq(r["state"], "stopped", "state")
        # The deaf ones had to be killed; it was asked for all the same.
        ok(r["exit"]["reason"] in ("requested", "killed"), "reason")
        eq(r["crash_count"], 0, "crash_count")


@test()
def crash_takes_the_whole_tree():
    """What a dead service leaves is killed before the next run."""
    with Keepd(service("a", "tree", "note:up", "hang",
                       extra="restart always\nbackoff none")) as k:
        tree = k.note("tree")["pids"]
        os.kill(k.note("up")["pid"], signal.SIGKILL)
        second = k.note("tree")["pids"]
        k.note("up")
        for p in tree:
            ok(not alive(p), f"{p} of the first run is left")
        for p in second:
            ok(alive(p), f"{p} of the second run is gone")


@test()
def deaf_service_is_killed():
    """S0-34: TERM, the time-out, KILL; told as killed; not sooner."""
    with Keepd(service("a", "deaf", "note:up", "hang",
                       extra="stop timeout 600ms")) as k:
        k.note("up")
        t0 = time.monotonic()
        k.ctl("stop", "a")
        took = time.monotonic() - t0
        ok(0.55 < took < 0.6 + SLACK * 2, f"took {took}")
        r = k.rec("a")
        eq(r["state"], "stopped", "state")
        eq(r["exit"]["reason"], "killed", "reason")


@test()
def force_kills_at_once():
    with Keepd(service("a", "deaf", "note:up", "hang",
                       extra="stop timeout 60s")) as k:
        k.note("up")
        t0 = time.monotonic()
        k.ctl("stop", "--force", "a")
        ok(time.monotonic() - t0 < 5, "a forced stop waits")
        eq(k.state("a"), "stopped", "state")


@test()
def stop_signal_is_configurable():
    with Keepd(service("a", "deaf", "on:INT,int", "note:up", "hang",
                       extra="stop signal INT timeout 300ms")) as k:
        k.note("up")
        k.ctl("stop", "a")
        k.note("int")


@test()
def stop_ends_a_delay():
    """U-7: stop in backoff is at once; start in backoff too."""
    with Keepd(service("a", "note:up", "exit:1",
                       extra="restart always\nbackoff fixed 60s free 0\n"
                             "attempts 0")) as k:
        k.note("up")
        k.until_state("a", "backoff")
        k.ctl("stop", "a")
        eq(k.state("a"), "stopped", "state after stop")
        k.ctl("start", "a", rc=None)
        k.note("up")
        k.until_state("a", "backoff")
        k.ctl("restart", "a", rc=None)
        k.note("up", timeout=5)


@test()
def start_and_stop_errors():
    """The key words of U-62 and the exit codes of interfaces.md."""
    with Keepd(service("a", "note:up", "hang")
               + service("b", "hang", extra="autostart no")) as k:
        k.note("up")
        has(k.ctl("start", "a", rc=1).err, "already running")
        has(k.ctl("stop", "b", rc=1).err, "not running")
        has(k.ctl("stop", "nobody", rc=4).err, "nobody", "not found")
        has(k.ctl("status", "nobody", rc=4).err, "not found")
        r = k.ctl("restart", rc=2)
        eq(r.out, "", "stdout of a usage error")
        k.ctl("no-such-verb", rc=2)
        eq(k.state("b"), "stopped", "autostart no")
        eq(k.mcp.fails("restart", "PROCESS_NOT_FOUND", process="nobody").code,
           "PROCESS_NOT_FOUND", "code")


@test(modes="any")
def unreachable_daemon():
    k = Keepd(start=False)
    with k:
        r = k.ctl("status", rc=3)
        has(r.err, k.sock)
        eq(len(r.err.strip().splitlines()), 1, "an error is one line")


def answer(k, name):
    """What `keepctl -j restart` says of one service."""
    d = k.ctl("-j", "restart", name).json()
    return d[0] if isinstance(d, list) else d


@test()
def restart_keeps_counters_and_says_pids():
    """keepctl restart: old and new pid; no crash; a stopped one starts."""
    with Keepd(service("a", "note:up", "hang",
                       extra="restart always\nbackoff fixed 60s free 0")) as k:
        first = k.note("up")
        d = answer(k, "a")
        second = k.note("up")
        eq(d["old_pid"], first["pid"], "old_pid")
        eq(d["new_pid"], second["pid"], "new_pid")
        r = k.rec("a")
        eq((r["crash_count"], r["state"]), (0, "running"), "after a restart")
        ok("Crashed" not in k.mcp.text("get_status"), "a crash event")
        k.ctl("stop", "a")
        k.ctl("restart", "a")                   # C-10
        k.note("up")
        eq(k.state("a"), "running", "state")


@test()
def restarts_are_joined():
    """Two who ask for the same restart share one and both get its result."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("a", "note:up", "blockterm:" + gate,
                        extra="stop timeout 15s"))
    with k:
        k.start()
        first = k.note("up")
        got = []

        def ask():
            got.append(answer(k, "a"))
        ts = [threading.Thread(target=ask) for _ in range(3)]
        ts[0].start()
        k.note("term")                          # the first one is under way
        ts[1].start()
        ts[2].start()
        # The askers must have arrived: status over the same path says so.
        k.until(lambda: k.state("a") == "stopping", "stopping")
        time.sleep(0.3)
        k.open_gate(gate)
        for t in ts:
            t.join(PATIENCE)
        eq(len(got), 3, "answers")
        eq(len({g["new_pid"] for g in got}), 1, f"one new process: {got}")
        eq({g["old_pid"] for g in got}, {first["pid"]}, "old_pid")
        k.note("up")
        eq(k.drain_notes(), [], "one restart only")
        r = k.rec("a")
        eq(r["restarts"], 1, "restarts")


@test()
def stop_wins_over_restart():
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("a", "note:up", "blockterm:" + gate,
                        extra="stop timeout 15s"))
    with k:
        k.start()
        k.note("up")
        restart = k.popen(k.ctl_cmd("restart", "a"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
        k.note("term")
        stop = k.popen(k.ctl_cmd("stop", "a"), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
        restart.wait(PATIENCE)                  # cancelled by the stop
        eq(restart.returncode, 1, "status of the restart")
        k.open_gate(gate)
        eq(stop.wait(PATIENCE), 0, "status of the stop")
        eq(k.state("a"), "stopped", "state")
        eq(k.drain_notes(), [], "nothing was started")


@test()
def wait_verbs():
    """keepctl wait: ready, log, exit (its status passed on), time-out 6."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("a", "out:hello 42", "note:up", "wait:" + gate,
                        "exit:5", extra="restart never")
                + service("b", "hang", extra="autostart no"))
    with k:
        k.start()
        k.note("up")
        k.ctl("wait", "a", "--ready")
        k.ctl("wait", "a", "--log", "hello [0-9]+", "--timeout", "5s",
              rc=None)
        k.ctl("wait", "b", "--ready", "--timeout", "300ms", rc=6)
        k.ctl("wait", "a", "--quiet", "200ms", "--timeout", "5s")
        w = k.popen(k.ctl_cmd("wait", "a", "--exit"))
        k.ctl("wait", "a", "--exit", "--timeout", "300ms", rc=6)
        k.open_gate(gate)
        eq(w.wait(PATIENCE), 5, "wait --exit passes the status on")


@test()
def wait_exit_by_signal_and_stop():
    with Keepd(service("a", "note:up", "hang", extra="restart never")) as k:
        n = k.note("up")
        w = k.popen(k.ctl_cmd("wait", "a", "--exit"))
        k.ctl("wait", "a", "--exit", "--timeout", "200ms", rc=6)
        os.kill(n["pid"], signal.SIGKILL)
        eq(w.wait(PATIENCE), 128 + 9, "128 + signal")


@test()
def groups_and_all():
    """start, stop, restart by group, by glob, and all of them."""
    conf = "".join(service(n, "note:up", "term:0", extra=f"group {g}")
                   for n, g in (("web1", "front"), ("web2", "front"),
                                ("db", "back")))
    with Keepd(conf) as k:
        for _ in range(3):
            k.note("up")
        k.ctl("stop", "--group", "front")
        eq([k.state(s) for s in ("web1", "web2", "db")],
           ["stopped", "stopped", "running"], "after stop --group")
        k.ctl("start", "web*")
        eq([k.state(s) for s in ("web1", "web2")], ["running"] * 2,
           "after start web*")
        k.drain_notes()
        k.ctl("restart", "--all")
        for s in ("web1", "web2", "db"):
            k.note("up", service=s)
        k.ctl("stop", "--all")
        eq({k.state(s) for s in ("web1", "web2", "db")}, {"stopped"},
           "after stop --all")


@test()
def shell_command_and_args():
    """C-36: a string is split without a shell, a list is argv, shell is."""
    k = Keepd(start=False)
    py = " ".join(svc_argv())
    k.configure(
        f"service words {{\n\tcommand \"{py} note:$HOME report hang\"\n}}\n"
        f"service shell {{\n\tshell \"X='a b'; exec {py} \\\"note:$X\\\" "
        "hang\"\n}\n"
        f"service args {{\n\tcommand {argv(*svc_argv())}\n"
        f"\targs {{ \"note:one two\" \"hang\" }}\n}}\n")
    with k:
        k.start()
        k.note("$HOME", service="words")
        k.note("a b", service="shell")
        k.note("one two", service="args")


@test()
def env_inherit_and_umask():
    k = Keepd(service("a", "report", "hang",
                      extra="env inherit no\numask 027\n"
                            "env LIST \"a,b=c\"\nenv EMPTY \"\"")
              + service("b", "report", "hang", extra="env inherit yes"),
              env={"FROM_KEEPD": "yes"})
    with k:
        a = k.note("report", service="a")
        ok("FROM_KEEPD" not in a["env"], "env inherit no")
        eq((a["env"]["LIST"], a["env"]["EMPTY"]), ("a,b=c", ""), "values")
        eq(a["umask"], 0o27, "umask")
        b = k.note("report", service="b")
        eq(b["env"].get("FROM_KEEPD"), "yes", "env inherit yes (S0-15)")


@test()
def direnv_wraps_where_envrc_is():
    """S0-16: `direnv exec DIR command`, with a direnv of our own in PATH."""
    k = Keepd(start=False)
    k.file("bin/direnv", "#!/bin/sh\nDIRENV_CALLED=\"$1 $2\"; "
           "export DIRENV_CALLED\nshift 2\nexec \"$@\"\n", 0o755)
    k.file(".envrc", "export A=1\n")
    os.mkdir(k.path("plain"))
    k.give(k.path("plain"))
    k.env["PATH"] = k.path("bin") + ":" + k.env["PATH"]
    k.configure(service("auto", "report", "hang", extra="direnv auto")
                + service("off", "report", "hang", extra="direnv no")
                + service("none", "report", "hang",
                          extra=f"direnv auto\ndirectory {q(k.path('plain'))}")
                + service("yes", "report", "hang",
                          extra=f"direnv yes\ndirectory {q(k.path('plain'))}"))
    with k:
        k.start()
        want = {"auto": "exec " + k.work, "off": None, "none": None,
                "yes": "exec " + k.path("plain")}
        for name, value in want.items():
            n = k.note("report", service=name)
            got = n["env"].get("DIRENV_CALLED")
            # From within the directory `.` is its name, too.
            ok(got in (value, value and "exec ."),
               f"direnv of {name}: {got}")


@test()
def events_tell_every_transition():
    """U-13: from, to, pid, exit, who asked and why."""
    with Keepd(service("a", "note:up", "term:0")) as k:
        k.note("up")
        k.ctl("stop", "a", "--reason", "because of the test")
        ev = [json.loads(s) for s in
              k.ctl("-j", "events", "a").out.splitlines()]
        text = str(ev)
        has(text, "running", "stopping", "stopped", "because of the test",
            "uid")
        ok(all(e.get("time") for e in ev), "times")


@test()
def many_services_start_in_parallel():
    """30 services, one of them slow to leave: the others do not wait."""
    conf = "".join(service(f"s{i}", "note:up", "term:0")
                   for i in range(30))
    with Keepd(conf) as k:
        for _ in range(30):
            k.note("up")
        d = k.ctl("-j", "status").json()
        eq(d["running_count"], 30, "running_count")
        k.ctl("stop", "--all")
        eq(k.ctl("-j", "status").json()["stopped_count"], 30, "stopped_count")


@test()
def killed_children_are_reaped():
    """No zombies: neither of services nor of what they leave behind."""
    with Keepd(service("a", "tree", "note:up", "exit:1",
                       extra="restart always\nbackoff fixed 50ms free 0\n"
                             "attempts 0")) as k:
        for _ in range(5):
            k.note("up")
        k.ctl("stop", "a", rc=None)

        def zombies():
            out = []
            for p in descendants(k.proc.pid):
                if not alive(p):
                    out.append(p)
            return out
        k.until(lambda: not zombies(), "without zombies")


@test()
def stopping_wait_gone():
    """keepctl stop returns when the process is gone, not before."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("a", "note:up", "blockterm:" + gate,
                        extra="stop timeout 15s"))
    with k:
        k.start()
        n = k.note("up")
        p = k.popen(k.ctl_cmd("stop", "a"))
        k.note("term")
        eq(p.poll(), None, "keepctl stop returned early")
        k.open_gate(gate)
        eq(p.wait(PATIENCE), 0, "status")
        wait_gone(n["pid"], 0.1)

"""keepd itself: start, refusals, stop, signals, who is left behind."""
import ctypes
import os
import platform
import signal
import socket
import subprocess

from keepd import (BIN, IS_ROOT, Keepd, Mcp, PATIENCE, alive, children,
                   descendants, eq, has, ok, proc_status, q, service, svc_argv,
                   argv, test, wait_gone)


@test(tags=("san",))
def starts_and_stops():
    """READY, a service that runs, an orderly end that leaves nothing."""
    with Keepd(service("a", "note:up", "term:0")) as k:
        n = k.note("up")
        eq(k.state("a"), "running", "state")
        eq(k.pid("a"), n["pid"], "pid")
        has(k.ctl("version").out, "0.1.0")
        status, _, body = k.http("GET", "/health")
        eq(status, 200, "GET /health")
        has(body, '"status"', "ok")
        has(k.mcp.text("get_status"), "Mode: Release", "a: running")
        k.healthy()
        kids = descendants(k.proc.pid)
        ok(n["pid"] in kids, "the service is a descendant of keepd")
        k.stop()
        for p in kids:
            ok(not alive(p), f"{p} is left")
        ok(not os.path.exists(k.sock), "the control socket is left")
        k.note("term")


@test()
def health_says_nothing_of_services():
    """The one page without identity names no service."""
    with Keepd(service("topsecret", "hang")) as k:
        _, h, body = k.http("GET", "/health")
        ok(b"topsecret" not in body, "GET /health names a service")
        has(h["content-type"], "application/json")
        ok("access-control-allow-origin" not in h, "CORS header (D-7)")


@test()
def sd_notify_words():
    """READY=1, RELOADING=1 on HUP, STOPPING=1 at the end."""
    k = Keepd(service("a", "hang"), start=False)
    with k:
        k.start()
        k.proc.send_signal(signal.SIGHUP)
        k.sd("RELOADING=1")
        k.wait_ready()
        k.proc.send_signal(signal.SIGTERM)
        k.sd("STOPPING=1")
        eq(k.wait_exit(), 0, "exit status")


@test()
def endpoints_open_before_first_build():
    """S0-22: while the first build hangs, everybody is answered."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(f"service b {{\n\tcommand {argv(*svc_argv('hang'))}\n"
                f"\tbuild {argv(*svc_argv('note:building', 'wait:' + gate))}\n"
                "}\n")
    with k:
        k.start()
        k.note("building")
        eq(k.http("GET", "/health")[0], 200, "GET /health")
        eq(k.state("b"), "building", "state")
        has(k.mcp.text("get_status"), "b: building")
        k.open_gate(gate)
        k.until_state("b", "running")


@test()
def second_keepd_refused():
    """A second one on the same control socket: refused, names the pid."""
    with Keepd(service("a", "hang")) as k:
        conf = k.path("second.conf")
        with open(k.conf, encoding="utf-8") as f:
            text = f.read()
        port2 = text.replace(f"port {k.port}", f"port {k.port + 7}")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(port2)
        p = k.popen([os.path.join(BIN, "sbin/keepd"), "-d", "-f", conf],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = p.communicate(timeout=PATIENCE)
        ok(p.returncode not in (0, None), "the second keepd ran")
        has(err.decode(), str(k.proc.pid))
        k.healthy()
        ok(os.path.exists(k.sock), "the first one's socket is gone")


@test()
def stale_socket_replaced():
    """The socket of a keepd that is no more does not stop the next."""
    k = Keepd(service("a", "hang"), start=False)
    with k:
        s = socket.socket(socket.AF_UNIX)
        s.bind(k.sock)
        s.listen(1)
        s.close()
        if k.uid != os.getuid():
            os.chown(k.sock, k.uid, -1)
        k.start()
        k.ctl("status")


@test()
def restarts_after_kill():
    """kill -9 of the parent, then a start on the same socket and port."""
    k = Keepd(service("a", "note:up", "hang"), check=False)
    with k:
        first = k.note("up")
        roles = k.roles()
        k.proc.kill()
        k.proc.wait()
        for name, p in roles.items():
            wait_gone(p)
        wait_gone(first["pid"])
        k.start()
        second = k.note("up")
        ok(first["pid"] != second["pid"], "same pid")
        k.healthy()
        k.stop()


@test()
def parent_killed_stops_services():
    """S0-36: the parent dies; children leave, services are stopped."""
    with Keepd(service("a", "note:up", "tree", "term:0")
               + service("b", "note:up", "deaf", "hang"),
               check=False) as k:
        pids = [k.note("up")["pid"], k.note("up")["pid"]]
        pids += k.note("tree")["pids"]
        roles = k.roles()
        k.proc.kill()
        k.proc.wait()
        for p in list(roles.values()) + pids:
            wait_gone(p)


@test()
def config_writable_by_others_refused():
    k = Keepd(service("a", "hang"), start=False)
    with k:
        os.chmod(k.conf, 0o666)
        k.start(wait=False)
        rc = k.wait_exit()
        ok(rc == 1, f"exit status {rc}")
        has(k.log(), "keepd.conf", "writ")
        ok(not os.path.exists(k.sock), "the socket was made")


@test()
def port_in_use_is_a_clear_error():
    """S0-19: the port is named, nothing is started."""
    k = Keepd(service("a", "note:up", "hang"), start=False)
    with k, socket.socket() as s:
        s.bind(("127.0.0.1", k.port))
        s.listen(1)
        k.start(wait=False)
        ok(k.wait_exit() == 1, "keepd ran on")
        has(k.log(), str(k.port), "in use")
        eq(k.drain_notes(), [], "a service was started")
        ok(not os.path.exists(k.sock), "the control socket is left")


@test()
def every_error_with_its_line():
    """-n reports all errors with file and line, and starts nothing."""
    k = Keepd(start=False)
    with k:
        k.write_raw("listen on 127.0.0.1 port 99999\n"
                    "service a {\n\tcommand \"x\"\n\tbogus key\n}\n"
                    "service b {\n\tcommand \"x\"\n\tautostart maybe\n}\n")
        p = k.popen([os.path.join(BIN, "sbin/keepd"), "-n", "-f", k.conf],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = p.communicate(timeout=PATIENCE)
        eq(p.returncode, 1, f"exit status ({err.decode()})")
        for line in (1, 4, 8):
            has(err.decode(), f"keepd.conf:{line}")


@test()
def check_prints_a_form_that_prints_as_itself():
    k = Keepd(service("a", "hang", extra="env X \"a,b=c\"\nrestart always"),
              start=False)

    def printed(path):
        p = k.popen([os.path.join(BIN, "sbin/keepd"), "-nv", "-f", path],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = p.communicate(timeout=PATIENCE)
        eq(p.returncode, 0, err.decode())
        has(err.decode(), "configuration OK")
        return out.decode()
    with k:
        once = printed(k.conf)
        has(once, "a,b=c")
        again = os.path.join(k.base, "again.conf")
        with open(again, "w", encoding="utf-8") as f:
            f.write(once)
        os.chmod(again, 0o644)
        eq(printed(again), once, "second printing")


@test()
def usage_and_bad_directory():
    """S0-1, S0-2: usage for two directories, an error for a missing one."""
    k = Keepd(start=False)
    with k:
        for args, words in (([k.work, k.work], ["usage"]),
                            (["-Z"], ["usage"]),
                            (["/no/such/directory"], ["/no/such/directory"])):
            p = k.popen([os.path.join(BIN, "sbin/keepd"), "-d", *args],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            _, err = p.communicate(timeout=PATIENCE)
            eq(p.returncode, 1, f"exit status of {args}")
            has(err.decode(), *words)


@test()
def second_signal_kills_at_once():
    """U-82: a service that will not leave for a minute is killed."""
    with Keepd(service("a", "deaf", "note:up", "hang",
                       extra="stop timeout 60s")) as k:
        n = k.note("up")
        k.proc.send_signal(signal.SIGTERM)
        k.sd("STOPPING=1")
        ok(alive(n["pid"]), "killed by the first signal")
        k.proc.send_signal(signal.SIGTERM)
        eq(k.wait_exit(), 0, "exit status")
        ok(not alive(n["pid"]), "the service is left")


@test()
def shutdown_by_keepctl():
    with Keepd(service("a", "note:up", "term:0")) as k:
        n = k.note("up")
        k.ctl("shutdown")
        eq(k.wait_exit(), 0, "exit status")
        k.note("term")
        wait_gone(n["pid"])


@test()
def no_new_starts_while_stopping():
    """U-82: SHUTTING_DOWN."""
    k = Keepd(start=False)
    gate = k.fifo("gate")
    k.configure(service("slow", "note:up", "blockterm:" + gate,
                        extra="stop timeout 20s")
                + service("other", "hang", extra="autostart no"))
    with k:
        k.start()
        k.note("up")
        mcp = Mcp(k.port)
        mcp.text("get_status")                  # connected before the end
        k.proc.send_signal(signal.SIGTERM)
        k.note("term")
        r = k.ctl("start", "other", rc=None)
        ok(r.rc == 1, f"start while stopping: {r}")
        has(r.err, "shut")
        mcp.close()
        k.open_gate(gate)
        eq(k.wait_exit(), 0, "exit status")


def proc_caps(st):
    return int(st["CapEff"], 16), int(st["CapPrm"], 16)


@test()
def processes_are_locked_up():
    """Each of keepd's processes, as the kernel shows it."""
    with Keepd(service("a", "note:up", "hang"),
               top="search jit yes") as k:
        k.note("up")
        k.search("a", "x")
        roles = k.roles()
        for role in ("supervisor", "logger", "frontend", "searcher"):
            ok(role in roles, f"no {role} in {roles}")
        ids = {}
        for role, pid in roles.items():
            st = proc_status(pid)
            ids[role] = tuple(int(x) for x in st["Uid"].split())
            # The supervisor may not have it: its services would inherit it.
            if role != "supervisor":
                eq(st["NoNewPrivs"], "1", f"NoNewPrivs of {role}")
                eq(st["Seccomp"], "2", f"Seccomp of {role}")
                eq(proc_caps(st), (0, 0), f"capabilities of {role}")
                if k.system:
                    eq(st["Groups"].split(), [st["Gid"].split()[0]],
                       f"groups of {role}")
            eq(len(set(ids[role])), 1, f"uids of {role}")
        if k.system:
            eq(len(set(ids.values())), 3, f"three users: {ids}")
            ok(all(u[0] != 0 for u in ids.values()), f"root: {ids}")
            eq(ids["searcher"], ids["logger"], "searcher's user")
            # SETUID, SETGID, KILL: bits 7, 6, 5.
            eq(proc_caps(proc_status(roles["supervisor"])),
               (0xe0, 0xe0), "capabilities of supervisor")
            for role in ("logger", "frontend", "searcher"):
                eq(os.listdir(f"/proc/{roles[role]}/root"), [],
                   f"root directory of {role}")
        else:
            eq(set(ids.values()), {(k.uid,) * 4}, "uids")
        # No memory that is writable and executable but the searchers'.
        if IS_ROOT:
            for role in ("supervisor", "logger", "frontend"):
                with open(f"/proc/{roles[role]}/maps", encoding="utf-8") as f:
                    for line in f:
                        ok("rwx" not in line.split()[1],
                           f"{role} has {line}")


@test(modes="root")
def children_are_not_dumpable():
    """/proc of a non-dumpable process belongs to root, in user mode too."""
    import pwd
    uid = pwd.getpwnam("keepd-test").pw_uid
    with Keepd(service("a", "hang"), uid=uid) as k:
        for role, pid in k.roles().items():
            if role == "supervisor":
                continue
            eq(os.stat(f"/proc/{pid}/mem").st_uid, 0, f"owner of {role}'s")


def ignore_everything():
    """As a careless starter might: also the signals that libc hides."""
    for sig in (signal.SIGQUIT, signal.SIGTTOU, signal.SIGRTMAX):
        signal.signal(sig, signal.SIG_IGN)
    if platform.machine() == "x86_64":
        act = (ctypes.c_ulong * 4)(signal.SIG_IGN, 0, 0, 0)
        for sig in (32, 33):
            if ctypes.CDLL(None).syscall(13, sig, act, None, 8) != 0:
                raise OSError("rt_sigaction")


@test()
def services_inherit_nothing():
    """Own session, clean signals and descriptors, none of keepd's locks."""
    ignore_everything()
    with Keepd(service("a", "report", "hang", extra='env ONE "1,2=3 4"')) as k:
        n = k.note("report")
        eq(n["sid"], n["pid"], "session")
        eq(n["pgid"], n["pid"], "process group")
        st = n["status"]
        eq(st["NoNewPrivs"], "0", "NoNewPrivs")
        eq(st["Seccomp"], "0", "Seccomp")
        for key in ("SigBlk", "SigIgn"):
            # Python itself ignores PIPE and XFSZ.
            eq(int(st[key], 16) & ~(1 << 12 | 1 << 24), 0, key)
        for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            eq(int(st[key], 16), 0, key)
        eq(sorted(n["fds"]), ["0", "1", "2"], "descriptors")
        eq(n["fds"]["0"], "/dev/null", "stdin")
        ok(n["fds"]["1"].startswith("pipe:"), "stdout")
        ok(n["fds"]["2"].startswith("pipe:"), "stderr")
        ok(n["fds"]["1"] != n["fds"]["2"], "streams told apart")
        eq(n["env"]["ONE"], "1,2=3 4", "environment (D-40)")
        eq(n["env"]["KEEPD_SERVICE"], "a", "KEEPD_SERVICE")
        eq(n["env"]["KEEPD_RUN"], "1", "KEEPD_RUN")
        ok("NOTIFY_SOCKET" not in n["env"], "NOTIFY_SOCKET leaks")
        eq(n["cwd"], k.work, "directory (S0-14)")
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        eq(n["limits"]["Max open files"], [str(soft), str(hard)],
           "nofile as keepd's own")
        for key in ("Max processes", "Max file size", "Max core file size"):
            ok(n["limits"][key][1] != "0", f"{key}: {n['limits'][key]}")
        if k.system:
            import pwd
            pw = pwd.getpwnam(k.svc_user)
            eq(n["uid"], [pw.pw_uid] * 3, "uids")
            eq(n["gid"], [pw.pw_gid] * 3, "gids")
            # And a number that marks the service's processes, nobody's group.
            eq({g for g in n["groups"] if g < 1 << 30} - {pw.pw_gid}, set(),
               "groups")


@test(modes="user")
def mcp_run_file():
    """S0-3 to S0-13: .mcp-run of a project is read as such."""
    k = Keepd(start=False)
    port = k.port
    with k:
        words = ", ".join(q(w) for w in svc_argv("note:up", "report", "hang"))
        k.file(".mcp-run", f"mcp_port = {port}\ndev_timeout_hours = 2\n"
               "[process.web]\ntype = \"npm\"\n" f"command = [{words}]\n")
        k.env["NOTE"] = k.note_path
        k.sock = os.path.join(k.base, "xdg-run", "keepd", "keepd.sock")
        os.mkdir(os.path.join(k.base, "xdg-run"), 0o700)
        k.start([os.path.join(BIN, "sbin/keepd"), "-d", k.work])
        k.note("up")
        eq(k.note("report")["cwd"], k.work, "directory")
        text = k.mcp.text("get_status")
        has(text, "Mode: Release", "web: running")
        ok(os.path.exists(k.sock), "socket below XDG_RUNTIME_DIR")


@test(modes="user")
def mcp_run_errors():
    """Each fault of a .mcp-run file: refused, the path or process named."""
    k = Keepd(start=False)
    cases = (
        ("mcp_port = \n[process.a]\ntype = \"rust\"\n", ".mcp-run"),
        ("dev_timeout_hours = 1\n[process.a]\ntype = \"rust\"\n", "mcp_port"),
        ("mcp_port = 70000\n[process.a]\ntype = \"rust\"\n", "mcp_port"),
        (f"mcp_port = {k.port}\n", "process"),
        (f"mcp_port = {k.port}\n[process.zed]\ntype = \"Npm\"\n", "zed"),
        (f"mcp_port = {k.port}\n[process.zed]\ntype = \"npm\"\n", "zed"),
        (f"mcp_port = {k.port}\n[process.zed]\ntype = \"npm\"\n"
         "command = []\n", "zed"),
        (f"mcp_port = {k.port}\nrelease_crash_backoff_initial_seconds = 9\n"
         "release_crash_backoff_max_seconds = 1\n"
         "[process.zed]\ntype = \"npm\"\ncommand = [\"x\"]\n", "max"),
        ("mcp_port = 1\n" * 2, ".mcp-run"),
    )
    with k:
        for text, word in cases:
            k.file(".mcp-run", text)
            p = k.popen([os.path.join(BIN, "sbin/keepd"), "-n", k.work],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            _, err = p.communicate(timeout=PATIENCE)
            eq(p.returncode, 1, f"exit status for {text!r}: {err.decode()}")
            has(err.decode(), word)
        k.file(".mcp-run", f"mcp_port = {k.port}\nunheard_of = 1\n"
               "[process.zed]\ntype = \"npm\"\ncommand = [\"x\"]\n")
        p = k.popen([os.path.join(BIN, "sbin/keepd"), "-n", k.work],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = p.communicate(timeout=PATIENCE)
        eq(p.returncode, 0, "an unknown key is a warning (S0-13)")
        has(err.decode(), "unheard_of")


@test()
def echo_of_lines():
    """S0-64: `[name] line` on keepd's own output; stderr on stderr."""
    k = Keepd(start=False)
    k.configure(
        f"service a {{\n\tcommand "
        f"{argv(*svc_argv('out:to-out', 'err:to-err', 'note:up', 'hang'))}\n"
        f"\tbuild {argv(*svc_argv('out:made'))}\n}}\n")
    with open(k.conf, encoding="utf-8") as f:
        text = f.read()
    k.write_raw(text.replace("echo no", "echo yes"))
    with k:
        k.start()
        k.note("up")
        for rd, want in ((k.echo, "[build] made"), (k.echo, "[a] to-out"),
                         (k.reader, "[a] to-err")):
            r = rd.wait(lambda s, w=want: s.rstrip("\n") == w)
            ok(r, f"no {want!r}; stdout {k.echo.text()!r}")


@test()
def ordinary_children_only():
    """keepd's own children are its three programs and nothing else."""
    with Keepd(service("a", "note:up", "hang")) as k:
        k.note("up")
        kids = set(children(k.proc.pid))
        r = k.roles()
        eq(kids, {r["supervisor"], r["logger"], r["frontend"]}, "children")

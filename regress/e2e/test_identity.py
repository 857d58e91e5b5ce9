"""Who is who: the uid of the peer socket on loopback, the control socket's
credentials, roles and ceilings in both modes."""
import json
import os
import pwd
import socket
import subprocess
import threading

from keepd import (Keepd, Mcp, PATIENCE, USER, alive, as_user, eq, free_port,
                   has, ok, service, test)
from test_control import hello

OTHER = 54321                                   # needs no account


def other_status(k, body=None, path="/mcp"):
    """What another user of the host gets over loopback."""
    def ask():
        m = Mcp(k.port)
        st, _, raw = m.post(body or {
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "get_status"}}, path=path)
        return [st, raw.decode(errors="replace")]
    return as_user(OTHER, ask)


@test(modes="root", tags=("san",))
def identity_loopback_in_user_mode():
    """Another user: 403 before the body is read; the owner and root: 200."""
    uid = pwd.getpwnam(USER).pw_uid
    with Keepd(service("a", "note:up", "hang"), uid=uid) as k:
        k.note("up")
        for body in (None, b"{garbage", {"jsonrpc": "2.0", "id": 1,
                                         "method": "ping"}):
            st, text = other_status(k, body)
            eq(st, 403, f"another user: {text}")
            ok("running" not in text, "the answer tells something")

        def own():
            m = Mcp(k.port)
            return m.text("get_status")
        has(as_user(uid, own), "a: running")
        has(k.mcp.text("get_status"), "a: running")     # root
        # /health needs no identity and says nothing.

        def health():
            return [k.http("GET", "/health")[0]]
        eq(as_user(OTHER, health), [200], "GET /health")
        # One connection of theirs does not lend a name to another.
        errors = []

        def theirs():
            try:
                for _ in range(10):
                    eq(other_status(k)[0], 403, "another user")
            except AssertionError as e:
                errors.append(e)
        t = threading.Thread(target=theirs)
        t.start()
        for _ in range(50):
            m = Mcp(k.port)
            m.text("get_status")
            m.close()
        t.join()
        eq(errors, [], "mixed up")


@test(modes="root")
def identity_reused_port():
    """The source port of a closed connection of ours, taken by another."""
    uid = pwd.getpwnam(USER).pw_uid
    with Keepd(service("a", "note:up", "hang"), uid=uid) as k:
        k.note("up")
        for _ in range(10):
            port = free_port()
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method":
                               "tools/call",
                               "params": {"name": "get_status"}})
            req = (f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{k.port}\r\n"
                   "Content-Type: application/json\r\nAccept: */*\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

            def ask():
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")       # RST, no TIME_WAIT
                s.bind(("127.0.0.1", port))
                s.settimeout(PATIENCE)
                s.connect(("127.0.0.1", k.port))
                s.sendall(req)
                data = s.recv(65536).decode(errors="replace")
                s.close()
                return data.split(" ", 2)[1]
            eq(as_user(uid, ask), "200", "the owner")
            eq(as_user(OTHER, ask), "403", "another on the same port")


@test(modes="root")
def identity_control_socket_in_user_mode():
    """Another uid is closed at once; root is not."""
    uid = pwd.getpwnam(USER).pw_uid
    with Keepd(service("a", "note:up", "hang"), uid=uid) as k:
        n = k.note("up")
        os.chmod(k.sock, 0o777)                 # as if the mode were wrong

        def ask():
            p = subprocess.run(k.ctl_cmd("stop", "a"), capture_output=True,
                               timeout=PATIENCE, env=k.env, cwd="/")
            return [p.returncode, p.stderr.decode()]
        rc, err = as_user(OTHER, ask)
        ok(rc in (3, 5), f"another user: {rc} {err}")
        ok(alive(n["pid"]), "the service was stopped")
        # Root may; keepctl itself would not trust that user's directory.
        hello(k).close()


@test(modes="root", tags=("san",))
def identity_in_system_mode():
    """Each user sees and operates their own services; root all of them."""
    conf = (service("mine", "note:up", "term:0")
            + service("roots", "note:up", "term:0", extra="user _keepweb")
            + service("hidden", "note:up", "term:0",
                      extra="allow network none"))
    uid = pwd.getpwnam(USER).pw_uid
    with Keepd(conf) as k:
        pids = {n["service"]: n["pid"] for n in
                (k.note("up"), k.note("up"), k.note("up"))}

        def see(uid_):
            def ask():
                return Mcp(k.port).text("get_status")
            return as_user(uid_, ask)
        text = see(uid)
        has(text, "mine: running")
        ok("roots" not in text and "hidden" not in text, text)
        text = k.mcp.text("get_status")
        has(text, "mine: running", "roots: running")
        ok("hidden" not in text, "`allow network none` is shown")

        def others():
            m = Mcp(k.port)
            out = []
            for tool, key in (("search_logs", "process"),
                              ("restart", "process"),
                              ("wait_for", "target"),
                              ("search_build_log", "process")):
                for name in ("roots", "hidden", "nobody"):
                    r = m.raw_call(tool, **{key: name}, **(
                        {"until": "ready"} if tool == "wait_for" else {}))
                    out.append([tool, name, r.get("isError"), r["content"][0]
                                ["text"].replace(name, "X")])
            return out
        got = as_user(uid, others)
        for tool, name, err, text in got:
            eq(err, True, f"{tool} {name}")
            has(text, "PROCESS_NOT_FOUND")
        # Not even the words differ between "not yours" and "not there".
        import re
        for tool in {g[0] for g in got}:
            texts = {re.sub(r'"timestamp": ?"[^"]*"', "", g[3])
                     for g in got if g[0] == tool}
            eq(len(texts), 1, f"{tool} tells a hidden from a missing one")
        eq(alive(pids["roots"]) and alive(pids["hidden"]), True, "touched")

        def own():
            m = Mcp(k.port)
            m.call("restart", process="mine")
            return m.text("get_status")
        has(as_user(uid, own), "mine: running")
        st = other_status(k)
        eq(st[0] in (200, 403), True, f"a user with nothing: {st}")
        ok("mine" not in st[1], "a user with nothing sees something")

        def ctl(*args):
            def ask():
                p = subprocess.run(k.ctl_cmd(*args), capture_output=True,
                                   timeout=PATIENCE, env=k.env, cwd="/")
                return [p.returncode, p.stdout.decode(), p.stderr.decode()]
            return as_user(uid, ask)
        rc, out, _ = ctl("status")
        eq(rc, 0, "keepctl status")
        has(out, "mine")
        ok("roots" not in out, out)
        eq(ctl("stop", "roots")[0], 4, "stop of another's")
        eq(ctl("logs", "roots")[0], 4, "logs of another's")
        for verb in (("shutdown",), ("reload",), ("mode", "dev")):
            eq(ctl(*verb)[0], 5, f"keepctl {verb[0]} by an ordinary user")
        has(ctl("stop", "mine")[1] + k.state("mine"), "stopped")
        eq(k.state("hidden"), "running", "hidden, by keepctl of root")


@test(modes="root")
def identity_group_keepd_manages():
    """Members of the group keepd manage everything (SO_PEERGROUPS)."""
    import grp
    gid = grp.getgrnam("keepd").gr_gid
    with Keepd(service("a", "note:up", "term:0")) as k:
        k.note("up")
        for groups, want in (([gid], 0), ([], 4)):
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.setgroups(groups)
                os.setresgid(OTHER, OTHER, OTHER)
                os.setresuid(OTHER, OTHER, OTHER)
                p = subprocess.run(k.ctl_cmd("restart", "a"), env=k.env,
                                   cwd="/", stdout=w, stderr=w)
                os._exit(p.returncode)
            os.close(w)
            text = b""
            while True:
                more = os.read(r, 4096)
                if not more:
                    break
                text += more
            os.close(r)
            rc = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            eq(rc, want, f"groups {groups}: {text.decode()}")


@test(tags=("san",))
def ceilings():
    """`allow network`: none is not there, observe may look only."""
    conf = "".join(service(f"n{w}", "out:text", f"note:{w}", "term:0",
                           extra=f"allow network {w}")
                   for w in ("none", "observe", "operate", "manage"))
    with Keepd(conf) as k:
        pids = {w: k.note(w)["pid"] for w in ("none", "observe", "operate",
                                              "manage")}
        text = k.mcp.text("get_status")
        has(text, "nobserve: running", "noperate: running", "nmanage")
        ok("nnone" not in text, "none is shown")
        k.await_log("nobserve", "text")
        eq(k.search("nobserve"), "text", "observe reads logs")
        e = k.mcp.fails("restart", "PERMISSION_DENIED", target="nobserve")
        has(e.error, "permission")
        k.mcp.fails("restart", "PROCESS_NOT_FOUND", target="nnone")
        k.mcp.fails("search_logs", "PROCESS_NOT_FOUND", process="nnone")
        k.mcp.fails("wait_for", "PROCESS_NOT_FOUND", target="nnone",
                    until="ready")
        k.mcp.call("restart", target="noperate")
        k.mcp.call("restart", target="nmanage")
        for w in ("none", "observe"):
            eq(k.pid("n" + w), pids[w], f"{w} was touched")
        # The control socket knows no ceilings.
        k.ctl("restart", "nnone")
        k.ctl("restart", "nobserve")
        k.note("none")
        k.note("observe")


@test()
def refusals_are_audited():
    """Every action, allowed or refused, is one event with who and what."""
    with Keepd(service("a", "note:up", "term:0",
                       extra="allow network observe")) as k:
        k.note("up")
        k.mcp.fails("restart", "PERMISSION_DENIED", process="a",
                    reason="let me in")
        k.ctl("restart", "a", "--reason", "by hand")
        text = k.ctl("-j", "events", "a").out
        has(text, "refused", "let me in", "by hand", f"uid {os.getuid()}")

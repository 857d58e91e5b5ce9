"""MCP on the wire: both eras, the tools, and callers who get it wrong."""
import json
import os
import re
import socket
import threading
import time

from keepd import (Keepd, LEGACY, META, MODERN, Mcp, RpcError, eq, has,
                   ok, read_answer, service, test)

S0_TOOLS = ["search_logs", "search_build_log", "restart", "get_status"]


def web(**kw):
    return Keepd(service("web", "out:hello", "note:up", "hang",
                         extra='description "the page"'), **kw)


def rpc_fails(m, method, code, params=None, status=None, **kw):
    try:
        r = m.rpc(method, params, **kw)
    except RpcError as e:
        eq(e.code, code, f"{method}: {e}")
        if status:
            eq(e.status, status, f"status of {method}: {e}")
        return e
    raise AssertionError(f"{method} {params} was answered: {r}")


@test(tags=("san",))
def mcp_discover_and_list():
    """The modern era: discover, list, results with their envelope."""
    with web() as k:
        m = k.mcp
        r = m.rpc("server/discover")
        eq(r["resultType"], "complete", "resultType")
        ok(MODERN in r["supportedVersions"], "supportedVersions")
        ok("tools" in r["capabilities"], "capabilities")
        ok(isinstance(r["ttlMs"], int) and r["cacheScope"] in
           ("public", "private"), "caching hints")
        ok(len(r["instructions"]) > 40, "instructions")
        has(r["_meta"][META + "serverInfo"]["name"], "keepd")
        r = m.rpc("tools/list")
        eq(r["resultType"], "complete", "resultType")
        names = [t["name"] for t in r["tools"]]
        for t in S0_TOOLS + ["wait_for"]:
            ok(t in names, f"{t} is not listed: {names}")
        eq(names, [t["name"] for t in m.rpc("tools/list")["tools"]], "order")
        for t in r["tools"]:
            ok(re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", t["name"]), t["name"])
            ok(t["description"], f"description of {t['name']}")
            eq(t["inputSchema"]["type"], "object", t["name"])
            a = t["annotations"]
            eq(set(a) >= {"readOnlyHint", "destructiveHint",
                          "idempotentHint", "openWorldHint"}, True,
               f"annotations of {t['name']}")
            eq(a["readOnlyHint"], t["name"].startswith(
                ("get_", "list_", "search_", "wait_")), t["name"])
            if "restart" in t["name"]:
                eq(a["destructiveHint"], True, t["name"])


@test(tags=("san",))
def mcp_legacy_handshake():
    """initialize, initialized, sessions, DELETE; every legacy revision."""
    with web() as k:
        k.note("up")
        k.until_state("web", "running")
        for v in ("2025-11-25", "2025-06-18", "2025-03-26"):
            m = Mcp(k.port, modern=False)
            r = m.initialize(v)
            eq(r["protocolVersion"], v, "version")
            ok("tools" in r["capabilities"], "capabilities")
            has(r["serverInfo"]["name"], "keepd")
            eq(m.rpc("ping"), {}, "ping")
            eq("resultType" in m.rpc("tools/list"), False, "resultType")
            r = m.call("get_status")
            ok("resultType" not in r, "resultType in a legacy result")
            has(r["content"][0]["text"], "web: running")
            if m.session:
                ok(re.fullmatch(r"[\x21-\x7e]{16,}", m.session), "session id")
                c = m.connection()
                c.request("DELETE", "/mcp", headers={
                    "Mcp-Session-Id": m.session,
                    "MCP-Protocol-Version": v})
                r = c.getresponse()
                r.read()
                ok(r.status in (200, 202, 204), f"DELETE: {r.status}")
                try:
                    m.rpc("ping")
                    raise AssertionError("a dead session is answered")
                except RpcError as e:
                    eq(e.status, 404, "status for a dead session")
            m.close()
        m = Mcp(k.port, modern=False)
        eq(m.initialize("1999-01-01")["protocolVersion"], "2025-11-25",
           "an unknown version")
        m.close()
        # Sessionless legacy: no header, no handshake.
        m = Mcp(k.port, modern=False)
        has(m.text("get_status"), "web: running")
        m.close()


@test()
def mcp_sessions_are_bounded():
    """A client that leaks sessions: the newest work, memory is bounded."""
    with web() as k:
        ids, refused = set(), 0
        m = None
        for _ in range(300):
            m = Mcp(k.port, modern=False)
            m.conn = None
            try:
                m.initialize()
                ids.add(m.session)
            except RpcError:
                refused += 1
            m.close()
        ids.discard(None)
        ok(not ids or len(ids) + refused == 300, "session ids repeat")
        m = Mcp(k.port, modern=False)
        has(m.text("get_status"), "web: running")
        m.close()
        k.healthy()


@test(tags=("san",))
def mcp_modern_validation():
    """mcp.md 2.1, one after the other."""
    with web() as k:
        m = k.mcp
        base = {META + "protocolVersion": MODERN,
                META + "clientCapabilities": {}}

        def post(method, params, **h):
            headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
            if method == "tools/call":
                headers["Mcp-Name"] = "get_status"
            for name, v in h.items():
                name = name.replace("_", "-")
                if v is None:
                    headers.pop(name, None)
                else:
                    headers[name] = v
            st, _, raw = m.post({"jsonrpc": "2.0", "id": "x", "method":
                                 method, "params": params}, headers)
            d = json.loads(raw)
            if "error" in d:
                eq(d["id"], "x", "id of the error")
            return st, d.get("error", {}).get("code"), d

        eq(post("tools/list", {"_meta": base})[:2], (200, None), "good")
        no_version = {META + "clientCapabilities": {}}
        eq(post("tools/list", {"_meta": no_version})[:2], (400, -32602),
           "no version in _meta")
        eq(post("tools/list", {"_meta": base}, MCP_Protocol_Version=None)[:2],
           (400, -32020), "no version header")
        odd = dict(base, **{META + "protocolVersion": "v999.0.0"})
        eq(post("tools/list", {"_meta": odd})[:2], (400, -32020), "mismatch")
        st, code, d = post("tools/list", {"_meta": odd},
                           MCP_Protocol_Version="v999.0.0")
        eq((st, code), (400, -32022), "unsupported")
        ok(MODERN in d["error"]["data"]["supported"], "supported")
        eq(d["error"]["data"]["requested"], "v999.0.0", "requested")
        for caps in (None, [], "x"):
            bad = dict(base, **{META + "clientCapabilities": caps})
            eq(post("tools/list", {"_meta": bad})[:2], (400, -32602),
               f"capabilities {caps}")
        eq(post("tools/list", {"_meta": base}, Mcp_Method=None)[:2],
           (400, -32020), "no Mcp-Method")
        eq(post("tools/list", {"_meta": base}, Mcp_Method="tools/call")[:2],
           (400, -32020), "wrong Mcp-Method")
        call = {"name": "get_status", "_meta": base}
        eq(post("tools/call", call)[:2], (200, None), "no arguments member")
        eq(post("tools/call", call, Mcp_Name=None)[:2], (400, -32020),
           "no Mcp-Name")
        eq(post("tools/call", call, Mcp_Name="restart")[:2], (400, -32020),
           "wrong Mcp-Name")
        eq(post("tools/call", call, Mcp_Name="=?base64?Z2V0X3N0YXR1cw==?=")
           [:2], (200, None), "encoded Mcp-Name")
        for enc in ("=?base64?Z2V0X3N0YXR1cw?=", "=?base64?!!!!?=",
                    "=?BASE64?Z2V0X3N0YXR1cw==?="):
            eq(post("tools/call", call, Mcp_Name=enc)[:2], (400, -32020), enc)
        eq(post("tools/call", call, Mcp_Name="  get_status\t")[0], 200,
           "blanks around a value")
        for method in ("no/such", "initialize", "ping", "logging/setLevel",
                       "resources/subscribe"):
            eq(post(method, {"_meta": base})[:2], (404, -32601), method)
        st, _, raw = m.post({"jsonrpc": "2.0",
                             "method": "notifications/cancelled",
                             "params": {"_meta": base}},
                            {"MCP-Protocol-Version": MODERN,
                             "Mcp-Method": "notifications/cancelled"})
        eq((st, raw), (202, b""), "a notification")


@test(tags=("san",))
def mcp_unknown_and_wrong():
    """Unknown tools and methods, wrong types (U-60), ids of every kind."""
    with web() as k:
        m = k.mcp
        rpc_fails(m, "tools/call", -32602, {"name": "no_such_tool"},
                  status=200)
        for bad in ([], "x", 5, None):
            rpc_fails(m, "tools/call", -32602,
                      {"name": "get_status", "arguments": bad})
        m2 = Mcp(k.port, modern=False)
        rpc_fails(m2, "no/such", -32601, status=200)
        rpc_fails(m2, "tools/call", -32602, {})
        rpc_fails(m2, "tools/call", -32602, {"name": 7})
        rpc_fails(m2, "tools/call", -32602, {"name": "x" * 100000})
        for i in (0, -1, "", "abc", 1 << 53, "\u00e9" * 100, "x" * 1000):
            st, _, raw = m2.post({"jsonrpc": "2.0", "id": i,
                                  "method": "ping"})
            eq((st, json.loads(raw)["id"]), (200, i), "id")
        m2.close()
        for args in ({"process": 5}, {"process": ["a", 5]}, {"process": ""},
                     {"process": None}, {"process": {}},
                     {"process": "x" * 100000},
                     {"process": "web", "stream": "stdin"},
                     {"process": "web", "pattern": 5},
                     {"process": "web", "max_bytes": -5},
                     {"process": "web", "index": "1"}):
            e = m.fails("search_logs", **args)
            ok(e.code in ("INVALID_PARAMETER", "PROCESS_NOT_FOUND"),
               f"{args}: {e.code}")
            ok(e.error, "no text")
        for tool in ("restart", "wait_for", "search_build_log"):
            e = m.fails(tool)
            ok(e.code == "INVALID_PARAMETER", f"{tool}: {e.code}")
            if tool != "wait_for":
                has(e.error, "must be provided")
        e = m.fails("restart", "PROCESS_NOT_FOUND", process="nobody")
        has(e.error, "nobody", "not found")
        eq(k.pid("web"), k.note("up")["pid"], "the service was touched")
        k.healthy()


@test()
def mcp_batches():
    """2025-03-26 takes them, later revisions refuse them."""
    with web() as k:
        m = k.mcp
        two = [{"jsonrpc": "2.0", "id": 1, "method": "ping"},
               {"jsonrpc": "2.0", "method": "notifications/x"},
               {"jsonrpc": "2.0", "id": 2, "method": "ping"}]
        st, _, raw = m.post(two, {"MCP-Protocol-Version": "2025-06-18"})
        eq((st, json.loads(raw)["error"]["code"]), (400, -32600), "06-18")
        st, _, raw = m.post(two, {"MCP-Protocol-Version": "2025-03-26"})
        if st == 200:
            eq([d["id"] for d in json.loads(raw)], [1, 2], "answers")
        else:
            eq((st, json.loads(raw)["error"]["code"]), (400, -32600), "03-26")
        st, _, _ = m.post(two * 1000, {"MCP-Protocol-Version": "2025-03-26"})
        eq(st, 400, "3000 in a batch")
        st, _, _ = m.post([], {"MCP-Protocol-Version": "2025-03-26"})
        eq(st, 400, "an empty batch")


@test()
def mcp_status_layout():
    """S0-99, line by line; S0-101: uptime only while alive."""
    k = Keepd(service("web", "note:up", "hang")
              + service("bad", "note:bad", "exit:3",
                        extra="restart always\nbackoff fixed 60s free 0"),
              mode="dev")
    with k:
        k.note("up")
        k.note("bad")
        k.until_state("bad", "backoff")
        text = k.mcp.text("get_status")
        lines = text.split("\n")
        eq(lines[0], "Mode: Dev", "first line")
        ok(re.search(r"Time until release mode: \d+ hours \d+ minutes",
                     lines[1]), lines[1])
        eq(lines[2:4], ["", "Processes:"], "head")
        blocks = text.split("Processes:\n", 1)[1]
        want = re.compile(
            r"\n  web: running\n    Uptime: 0 hours 0 minutes\n"
            r"    Recent events:\n      - Started at [^\n]+\n")
        ok(want.search(blocks + "\n"), f"block of web: {blocks!r}")
        want = re.compile(
            r"\n  bad: \w+\n(    [^\n]*\n)*    Recent events:\n"
            r"      - Crashed at [^\n]+ \(exit code: 3\)\n"
            r"      - Started at [^\n]+\n    Crash count: 1(\n|$)")
        ok(want.search(blocks + "\n"), f"block of bad: {blocks!r}")
        k.ctl("mode", "release")
        lines = k.mcp.text("get_status", passive=True).split("\n")
        eq(lines[0], "Mode: Release", "first line")
        has(lines[1], "release mode")
        d = k.mcp.data("get_status")
        eq(d["mode"], "release", "mode")
        eq({p["name"]: p["state"] for p in d["processes"]},
           {"web": "running", "bad": "backoff"}, "processes")


@test()
def mcp_record():
    """The record of interfaces.md: every key is there, null where unfit."""
    keys = set("""name id label group description state status ready health
        mode activity pid run instance command working_directory user port
        url start_time uptime_seconds restarts crash_count breaker next_start
        exit cpu_percent memory_mb stale last_action log_paths""".split())
    with web() as k:
        n = k.note("up")
        r = k.rec("web")
        eq(keys - set(r), set(), "missing keys")
        eq((r["name"], r["state"], r["pid"], r["run"], r["description"]),
           ("web", "running", n["pid"], 1, "the page"), "values")
        eq(r["working_directory"], k.work, "working_directory")
        eq(r["command"][-1], "hang", "command")
        ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                        r["start_time"]), r["start_time"])
        ok(0 <= r["uptime_seconds"] < 60, "uptime_seconds")
        k.mcp.call("restart", target="web", reason="a good one")
        r = k.rec("web")
        ok(r["last_action"]["verb"] in ("restart", "rebuild"), "verb")
        has(r["last_action"]["by"], f"uid {os.getuid()}")
        has(r["last_action"]["client"], "keepd-e2e")
        eq(r["last_action"]["reason"], "a good one", "reason")
        eq(r["restarts"], 1, "restarts")
        k.ctl("stop", "web")
        r = k.rec("web")
        eq((r["pid"], r["uptime_seconds"]), (None, None), "when stopped")
        eq(keys - set(r), set(), "missing keys")
        r = [p for p in k.ctl("-j", "status").json()["processes"]]
        eq(keys - set(r[0]), set(), "missing keys in the list")


@test()
def mcp_targets():
    """name, label, pid; aliases of `target`; an ambiguous one is told."""
    conf = "".join(service(n, "note:up", "hang", extra='label "twin"')
                   for n in ("one", "two"))
    with Keepd(conf + service("solo", "note:solo", "hang",
                              extra='label "my label"')) as k:
        pid = k.note("solo")["pid"]
        for key in ("target", "process", "label", "command_or_label"):
            has(k.mcp.text("search_logs", **{
                key: "my label" if "label" in key else "solo"}), "(empty)")
        k.mcp.text("search_logs", pid=pid)
        e = k.mcp.fails("search_logs", "AMBIGUOUS_TARGET", target="twin")
        has(e.error, "Multiple processes found")
        k.ctl("stop", "my label")
        eq(k.state("solo"), "stopped", "by label")


@test()
def mcp_cancel():
    """A cancelled wait ends; a cancel for nothing is taken in silence."""
    with web() as k:
        k.note("up")
        m = Mcp(k.port, modern=False, timeout=30)
        m.initialize()
        h = {"MCP-Protocol-Version": LEGACY}
        if m.session:
            h["Mcp-Session-Id"] = m.session
        done = []

        def ask():
            w = Mcp(k.port, modern=False, timeout=30)
            t0 = time.monotonic()
            try:
                w.post({"jsonrpc": "2.0", "id": 77, "method": "tools/call",
                        "params": {"name": "wait_for", "arguments": {
                            "target": "web", "until": "log",
                            "pattern": "never", "timeout": 25}}}, h)
            except OSError:
                pass
            done.append(time.monotonic() - t0)
            w.close()
        t = threading.Thread(target=ask)
        t.start()
        time.sleep(0.5)
        for rid in (77, 78, "77", None, {}):
            st, _, _ = m.post({"jsonrpc": "2.0",
                               "method": "notifications/cancelled",
                               "params": {"requestId": rid}}, h)
            ok(st in (202, 400), f"cancel {rid!r}: {st}")
        t.join(28)
        ok(done and (done[0] < 10 or not m.session),
           f"the cancelled call took {done}")
        m.close()
        k.healthy()


@test()
def mcp_progress():
    """With a token a long call streams; the last event is the answer."""
    with web() as k:
        k.note("up")
        m = Mcp(k.port, timeout=30)
        r = m.rpc("tools/call", {
            "name": "wait_for",
            "arguments": {"target": "web", "until": "log",
                          "pattern": "never", "timeout": 3},
            "_meta": {"progressToken": 0}})
        eq(r["structuredContent"]["reason"], "timeout", "reason")
        eq(r["resultType"], "complete", "resultType over a stream")
        m.close()


@test()
def mcp_log_text_is_data():
    """Log text never mixes with a sentence of ours, and is clean UTF-8."""
    with Keepd(service("a", 'out:"}],"isError":true}', "hex:e28ba80a",
                       "out:<script>", "note:up", "hang")) as k:
        k.note("up")
        k.await_log("a", "script")
        eq(k.lines("a"), ['"}],"isError":true}', "\u22e8", "<script>"],
           "lines")


@test()
def mcp_wait_holds_nothing_up():
    """Many waiters, and a status between: bounded records, no threads."""
    with web() as k:
        k.note("up")
        body = json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "wait_for", "arguments": {
                    "target": "web", "until": "exit", "timeout": 50}}})
        req = (f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{k.port}\r\n"
               "Content-Type: application/json\r\nAccept: */*\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        socks = []
        for _ in range(25):                     # 32 connections a user
            s = socket.create_connection(("127.0.0.1", k.port), timeout=20)
            s.sendall(req)
            socks.append(s)
        t0 = time.monotonic()
        k.mcp.text("get_status")
        ok(time.monotonic() - t0 < 1, "get_status waits")
        k.ctl("stop", "web")
        got = [read_answer(s)[0] for s in socks]
        eq(got, [200] * 25, "answers")
        for s in socks:
            s.close()

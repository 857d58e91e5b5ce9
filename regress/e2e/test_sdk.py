"""The official MCP clients from npm, v1 and v2, in every mode: the same walk
through tools, logs, a rebuild with swap, waiting and errors."""
import json
import os
import shutil
import subprocess

from keepd import Keepd, Skip, argv, has, ok, svc_argv, test

MODULES = os.environ.get("KEEPD_E2E_NPM", "")


def walk(version, mode):
    node = shutil.which("node")
    if node is None:
        raise Skip("no node here: the official clients were NOT tried")
    if not MODULES:
        raise Skip("npm ci failed: the official clients were NOT tried")
    k = Keepd(start=False)
    body = ["out:before", "out:error one", "out:after", "note:up", "term:0"]
    words = " ".join(f"'{w}'" for w in svc_argv(*body))
    k.configure(
        f"service web {{\n\tshell \"echo run $KEEPD_RUN; exec {words}\"\n"
        "\tbuild { \"/bin/sh\" \"-c\" \"echo built in dev\" } release "
        "{ \"/bin/sh\" \"-c\" \"echo built in release\" }\n}\n"
        f"service broken {{\n\tcommand {argv(*svc_argv('note:b', 'hang'))}\n"
        "\tbuild { \"/bin/false\" } release { \"/bin/true\" }\n}\n")
    with k:
        k.start()
        k.note("up")
        k.note("b")
        k.await_log("web", "error one")
        k.await_log("web", "after")
        p = subprocess.run(
            [node, os.path.join(MODULES, "walk.mjs"), version, mode,
             f"http://127.0.0.1:{k.port}/mcp"],
            capture_output=True, timeout=50, env=dict(k.env, HOME=k.tmp))
        ok(p.returncode == 0, f"walk.mjs {version} {mode}:\n"
           + p.stderr.decode() + p.stdout.decode())
        d = json.loads(p.stdout)
        has(str(d["tools"]), "wait_for")
        has(k.rec("web")["last_action"]["client"], f"keepd-e2e-{version}")
        k.healthy()


@test(tags=("san",))
def sdk_v1():
    """@modelcontextprotocol/sdk 1.x: the legacy handshake."""
    walk("v1", "legacy")


@test()
def sdk_v2_legacy():
    walk("v2", "legacy")


@test(tags=("san",))
def sdk_v2_auto():
    """Probes with server/discover, must end in the modern era."""
    walk("v2", "auto")


@test()
def sdk_v2_pinned():
    walk("v2", "modern")

#!/usr/bin/env python3
"""Runs the black-box tests of keepd: every function marked with @test in the
test_*.py beside this file, each in a process of its own, some at a time.

	run.py [-k WORD] [--mode root|user] [--repeat N] [--bin DIR] [-j N]
	       [--tag TAG] [--list]

As root each test marked `both` runs a second time as an ordinary user; the
users that keepd's system mode and these tests need are made if missing.
"""
import argparse
import grp
import hashlib
import importlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
SKIPPED = 77
USER = "keepd-test"
# What system mode wants to find, and whom the tests run as.
USERS = ("_keepsup", "_keeplog", "_keepweb", USER)
GROUPS = ("keepd",)
SYSTEM_PYTHON = "/usr/bin/python3"


def load():
    import keepd
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_") and name.endswith(".py"):
            importlib.import_module(name[:-3])
    return keepd.TESTS


def run_one(name):
    """In the child: run the test, leave with 0, 1 or 77."""
    import keepd
    fn = {t[0]: t[1] for t in load()}[name]
    keepd.become_subreaper()

    def on_term(*_):
        raise TimeoutError("timed out")
    signal.signal(signal.SIGTERM, on_term)
    try:
        fn()
    except keepd.Skip as e:
        print(f"skip: {e}")
        return SKIPPED
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


def make_users():
    """System mode's users and the ordinary one of the tests."""
    for g in GROUPS:
        try:
            grp.getgrnam(g)
        except KeyError:
            subprocess.run(["groupadd", "--system", g], check=True)
            print(f"# made the group {g}")
    for u in USERS:
        try:
            pwd.getpwnam(u)
        except KeyError:
            subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home",
                 "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin",
                 u], check=True)
            print(f"# made the user {u}")


def copy_tree(src, dst):
    """The programs as they are now: a make beside us must not swap them."""
    for sub in ("sbin", "bin", "libexec", "regress"):
        if os.path.isdir(os.path.join(src, sub)):
            shutil.copytree(os.path.join(src, sub), os.path.join(dst, sub),
                            copy_function=shutil.copy2)
    # The tests too: the ordinary user may not be able to read this directory.
    shutil.copytree(HERE, os.path.join(dst, "e2e"),
                    ignore=shutil.ignore_patterns("node_modules"))
    # The numbers of the messages, for those who abuse the control socket.
    shutil.copy2(os.path.join(HERE, "..", "..", "common", "proto.h"), dst)
    for top, _, files in os.walk(dst):
        os.chmod(top, 0o755)
        for f in files:
            os.chmod(os.path.join(top, f), 0o755)


def npm_modules(jobs, src):
    """The official clients, installed below the build tree once for each
    lock file; their directory, or nothing where npm cannot be had."""
    if not any(j[0].startswith("sdk_") for j in jobs):
        return ""
    npm, mcp = shutil.which("npm"), os.path.join(HERE, "mcp")
    if npm is None:
        return ""
    with open(os.path.join(mcp, "package-lock.json"), "rb") as f:
        name = "e2e-npm-" + hashlib.sha256(f.read()).hexdigest()[:12]
    where = os.path.join(os.path.dirname(src), name)
    if not os.path.isdir(where):
        fresh = tempfile.mkdtemp(prefix="e2e-npm-", dir=os.path.dirname(src))
        os.chmod(fresh, 0o755)
        for f in ("package.json", "package-lock.json"):
            shutil.copy2(os.path.join(mcp, f), fresh)
        p = subprocess.run([npm, "ci", "--no-audit", "--no-fund",
                            "--ignore-scripts"], cwd=fresh,
                           capture_output=True)
        if p.returncode != 0:
            print("# npm ci: " + p.stderr.decode(errors="replace")[-400:])
            shutil.rmtree(fresh, ignore_errors=True)
            return ""
        os.rename(fresh, where)
    return where


class Job:
    def __init__(self, name, mode, timeout, idle, env):
        self.name, self.mode = name, mode
        self.timeout, self.idle = timeout, idle
        # A python of root's own is not for others to run.
        python = SYSTEM_PYTHON if os.path.exists(SYSTEM_PYTHON) \
            else sys.executable
        cmd = [python,
               os.path.join(env["KEEPD_E2E_BIN"], "e2e", "run.py"),
               "--one", name]
        ids = {}
        if mode == "user" and os.getuid() == 0:
            pw = pwd.getpwnam(USER)
            ids = {"user": pw.pw_uid, "group": pw.pw_gid, "extra_groups": []}
            env = dict(env, HOME="/nonexistent", USER=USER, LOGNAME=USER)
        self.out = tempfile.TemporaryFile()
        self.t0 = time.monotonic()
        self.proc = subprocess.Popen(
            cmd, stdin=subprocess.DEVNULL, stdout=self.out,
            stderr=subprocess.STDOUT, start_new_session=True, cwd="/",
            env=env, **ids)
        self.asked = False

    def poll(self):
        """None while it runs; then ok, not ok or skip."""
        took = time.monotonic() - self.t0
        if self.proc.poll() is None:
            if took > self.timeout + 10:
                os.killpg(self.proc.pid, signal.SIGKILL)
                self.proc.wait()
            elif took > self.timeout and not self.asked:
                self.asked = True
                self.proc.send_signal(signal.SIGTERM)
                return None
            else:
                return None
        self.took = time.monotonic() - self.t0
        self.out.seek(0)
        self.text = self.out.read().decode(errors="replace")
        self.out.close()
        rc = self.proc.returncode
        return {0: "ok", SKIPPED: "skip"}.get(rc, "not ok")


def plan(tests, args):
    root = os.getuid() == 0
    here = "root" if root else "user"
    jobs, skipped = [], []
    for name, _, modes, timeout, tags in tests:
        if args.k and not any(w in name for w in args.k):
            continue
        if args.tag and args.tag not in tags:
            continue
        want = {"both": ["root", "user"] if root else ["user"],
                "root": ["root"], "user": ["user"], "any": [here]}[modes]
        for mode in want:
            if args.mode and mode != args.mode:
                continue
            if mode == "root" and not root:
                skipped.append((name, mode, "needs root"))
                continue
            jobs += [(name, mode, timeout, "idle" in tags)] * args.repeat
    # The long ones first, so that no core idles at the end.
    jobs.sort(key=lambda j: (not j[3], -j[2]))
    return jobs, skipped


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-k", action="append", help="only names holding this")
    ap.add_argument("--mode", choices=("root", "user"))
    ap.add_argument("--repeat", type=int, default=1)
    ap.add_argument("--bin", default=".build/gcc")
    ap.add_argument("-j", type=int, default=2)
    ap.add_argument("--tag")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--one", help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.one:
        return run_one(args.one)
    tests = load()
    jobs, skipped = plan(tests, args)
    if args.list:
        for job in jobs:
            print(*job[:2])
        return 0
    src = os.path.abspath(args.bin)
    if not os.path.exists(os.path.join(src, "sbin", "keepd")):
        print(f"run.py: no sbin/keepd in {src}", file=sys.stderr)
        return 2
    if os.getuid() == 0:
        make_users()
    tree = tempfile.mkdtemp(prefix="keepd-e2e-bin-", dir="/tmp")
    try:
        copy_tree(src, tree)
        npm = npm_modules(jobs, src)
        if npm:
            npm = shutil.copytree(npm, os.path.join(tree, "npm"),
                                  symlinks=True)
            shutil.copy2(os.path.join(HERE, "mcp", "walk.mjs"), npm)
        return run_all(jobs, skipped, tree, npm, args.j)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def run_all(jobs, skipped, tree, npm, width):
    env = dict(os.environ, KEEPD_E2E_BIN=tree, KEEPD_E2E_NPM=npm,
               PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
    # A test is a client like any other: nothing of our own session.
    for k in ("NOTIFY_SOCKET", "KEEPD_SOCKET", "XDG_RUNTIME_DIR",
              "MAKEFLAGS", "MAKELEVEL"):
        env.pop(k, None)
    counts = {"ok": 0, "not ok": 0, "skip": 0}
    failed = []
    for name, mode, why in skipped:
        counts["skip"] += 1
        print(f"skip {name} ({mode}) # {why}")
    running = []
    while jobs or running:
        # Those that only wait for a clock run beside the others.
        while jobs and (jobs[0][3] or sum(not j.idle for j in running)
                        < width):
            running.append(Job(*jobs.pop(0), env))
        for j in list(running):
            verdict = j.poll()
            if verdict is None:
                continue
            running.remove(j)
            counts[verdict] += 1
            line = f"{verdict} {j.name} ({j.mode})"
            if verdict == "skip":
                why = [s[6:] for s in j.text.splitlines()
                       if s.startswith("skip: ")]
                line += " # " + (why[-1] if why else "no reason")
            else:
                line += f" {j.took:.2f}s"
            print(line)
            if verdict == "not ok":
                failed.append(line)
                for s in j.text.splitlines():
                    print("    " + s)
            sys.stdout.flush()
        time.sleep(0.005)
    if failed:
        print("\nfailed:")
        for line in failed:
            print("  " + line)
    print(f"{counts['ok']} passed, {counts['not ok']} failed, "
          f"{counts['skip']} skipped")
    return 1 if counts["not ok"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())

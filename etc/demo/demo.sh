#!/usr/bin/env bash
# `make demo`: installs keepd into a directory of its own, copies the project
# beside this file, and walks through the main job: build, start, status, a
# crash, a search, an agent that rebuilds and swaps.  Leaves nothing behind.
set -eu
cd "$(dirname "$0")/../.."
MAKE=${1:-make}
umask 022
dir=$(mktemp -d "${TMPDIR:-/tmp}/keepd-demo.XXXXXX")
chmod 755 "$dir"
keepd=

cleanup() {
	trap - EXIT INT TERM
	[ -z "$keepd" ] || keepctl -q shutdown || kill -TERM "$keepd" || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
if ! [ -t 1 ] || [ -n "${NO_COLOR:-}" ]; then
	say() { printf '\n%s\n' "$*"; }
fi
run() { printf '$ %s\n' "$*"; "$@"; }

# Every client runs as keepd's own user, which is what gives it authority.
keepctl() {
	# shellcheck disable=SC2086	# a command prefix
	$as "$dir/keepd/bin/keepctl" "$@"
}

# Root would need the users of system mode; the demo is what a developer sees,
# so it gives root away.
as=
if [ "$(id -u)" -eq 0 ]; then
	as="setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=$dir/home"
fi

$MAKE -s PREFIX="$dir/keepd" install >/dev/null
mkdir "$dir/project" "$dir/home" "$dir/run"
cp etc/demo/Makefile etc/demo/hello.c etc/demo/keepd.conf etc/demo/worker.sh \
    "$dir/project/"
[ -z "$as" ] || chown -R nobody:nogroup "$dir/project" "$dir/home" "$dir/run"
export KEEPD_SOCKET=$dir/run/keepd.sock
export XDG_STATE_HOME=$dir/home/state XDG_RUNTIME_DIR=$dir/run

say "1. keepd starts on the project in $dir/project"
port=8947
while :; do
	# shellcheck disable=SC2086	# a command prefix
	if (cd "$dir/project" && exec $as "$dir/keepd/sbin/keepd" \
	    -D "port=$port" -s "$KEEPD_SOCKET" "$dir/project") 2>"$dir/err"
	then
		break
	elif grep -q 'in use' "$dir/err" && [ "$port" -lt 8967 ]; then
		port=$((port + 1))
	else
		cat "$dir/err" >&2
		echo "demo: keepd did not start" >&2
		exit 1
	fi
done
keepd=$(keepctl -j version | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
url=http://127.0.0.1:$port/mcp
run keepctl wait hello --ready --timeout 60s
run keepctl status

say "2. four processes, each in its own cage"
# shellcheck disable=SC2009	# a picture for people
ps -o pid,ppid,user,args -p "$keepd" --ppid "$keepd" |
    sed "s|$dir/keepd/||g"
for pid in $(pgrep -P "$keepd"); do
	awk -v pid="$pid" '/^(Name|NoNewPrivs|Seccomp|CapEff):/ {
		printf "%s%s %s", (n++ ? "  " : "  "), $1, $2 } END { print "" }' \
	    "/proc/$pid/status"
done

say "3. a crash: the worker fails every few seconds, keepd starts it again"
run keepctl wait worker --exit --timeout 30s || true
run keepctl wait worker --ready --timeout 30s
run keepctl events worker | tail -n 6

say "4. a search, with context, in the run before"
run keepctl search hello 'error.*timeout' -C 1
run keepctl search worker 'error' -C 1 --run -2

call() {	# call TOOL ARGUMENTS: tools/call, as the 2026-07-28 revision has it
	printf '$ curl %s  (tools/call %s %s)\n' "$url" "$1" "$2"
	# shellcheck disable=SC2086	# a command prefix
	$as curl -sS --max-time 120 "$url" -H 'Content-Type: application/json' \
	    -H 'Accept: application/json, text/event-stream' \
	    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' \
	    -H "Mcp-Name: $1" -d '{"jsonrpc":"2.0","id":1,"method":"tools/call",
"params":{"name":"'"$1"'","arguments":'"$2"',"_meta":{
"io.modelcontextprotocol/protocolVersion":"2026-07-28",
"io.modelcontextprotocol/clientInfo":{"name":"demo","version":"1"},
"io.modelcontextprotocol/clientCapabilities":{}}}}' |
	    sed -n 's/.*"text":"\([^"]*\(\\"[^"]*\)*\)".*/\1/p' |
	    sed 's/\\n/\n/g; s/\\"/"/g'
	echo
}

say "5. an agent asks for the status over MCP, changes the code, rebuilds and swaps"
call get_status '{}'
sed -i 's/hello from a/good morning from a/' "$dir/project/hello.c"
call restart '{"process":"hello","reason":"new greeting"}'
call search_logs '{"process":"hello","pattern":"listening","index":-1}'
run keepctl status hello
run keepctl events hello | tail -n 8

say "6. keepd stops: services first, then itself"
run keepctl shutdown
keepd=
echo
echo "demo: done.  Next: README.md, \"Five minutes\"."

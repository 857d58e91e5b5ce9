#!/bin/sh
# Pairs of configurations and what keepd -nv says about them.
#
#	run.sh [-u] [keepd]	-u: write what keepd says as the expectation
#
# NAME.in + NAME.ok	accepted: stdout of `keepd -nv`, which must print itself
# NAME.in + NAME.err	refused: stderr, exit status 1
# NAME.args		more arguments, one a line
# NAME.d/		files that are copied beside it
# mcprun-*		is named .mcp-run; system-*: needs root; the others run as
#			an ordinary user (as root: as nobody)
set -u

update=0
if [ "${1-}" = -u ]; then
	update=1
	shift
fi
here=$(cd "$(dirname "$0")" && pwd) || exit 1
keepd=${1:-${KEEPD:-$here/../../.build/gcc/sbin/keepd}}
passed=0 failed=0 skipped=0

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
chmod 755 "$tmp"
cp "$keepd" "$tmp/keepd" || exit 1
keepd=$tmp/keepd

as_user() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
	else
		"$@"
	fi
}

# keepd in a bare environment; arguments of the case are in $args
run_keepd() {
	case $1 in
	system-*) runner= ;;
	*) runner=as_user ;;
	esac
	shift
	# shellcheck disable=SC2086	# the words of $args are words
	$runner env -i PATH="$PATH" HOME=/nonexistent LC_ALL=C \
	    XDG_RUNTIME_DIR=/xdg/run XDG_STATE_HOME=/xdg/state \
	    "$keepd" "$@" $args
}

normal() {
	sed "s|$dir|DIR|g" "$1"
}

result() {
	if [ "$1" = ok ]; then
		echo "ok: $name"
		passed=$((passed + 1))
	else
		echo "FAILED: $name ($2)"
		failed=$((failed + 1))
	fi
}

skip() {
	echo "skipped: $name ($1)"
	skipped=$((skipped + 1))
}

case_ok() {
	if [ "$status" -ne 0 ]; then
		cat "$tmp/err"
		result no "refused, status $status"
		return
	fi
	normal "$tmp/out" >"$tmp/got"
	[ "$update" -eq 1 ] && cp "$tmp/got" "$here/$name.ok"
	if ! diff -u "$here/$name.ok" "$tmp/got"; then
		result no "prints something else"
		return
	fi
	# What was printed says all: without the macros of the case.
	args=
	cp "$tmp/out" "$dir/canonical.conf"
	run_keepd "$name" -nv -f "$dir/canonical.conf" >"$tmp/again" 2>"$tmp/err"
	if ! diff -u "$tmp/out" "$tmp/again"; then
		cat "$tmp/err"
		result no "the canonical form prints something else"
		return
	fi
	result ok
}

case_err() {
	normal "$tmp/err" >"$tmp/got"
	[ "$update" -eq 1 ] && cp "$tmp/got" "$here/$name.err"
	if [ "$status" -ne 1 ] || [ -s "$tmp/out" ]; then
		result no "status $status, not 1"
	elif ! diff -u "$here/$name.err" "$tmp/got"; then
		result no "other errors"
	else
		result ok
	fi
}

one_case() {
	name=$1
	case $name in
	system-*) [ "$(id -u)" -eq 0 ] || { skip "not root"; return; } ;;
	*)	if [ "$(id -u)" -eq 0 ] && ! command -v setpriv >/dev/null; then
			skip "no setpriv"
			return
		fi ;;
	esac
	dir=$tmp/$name
	mkdir "$dir" || exit 1
	file=$dir/keepd.conf
	case $name in
	mcprun-*) file=$dir/.mcp-run ;;
	esac
	cp "$here/$name.in" "$file"
	[ -d "$here/$name.d" ] && cp -R "$here/$name.d/." "$dir"
	chmod -R u=rwX,go=rX "$dir"
	# A mode of the file's own: "# mode 0666" in its first line.
	mode=$(sed -n '1s/^# mode \(0[0-7]*\)$/\1/p' "$file")
	[ -n "$mode" ] && chmod "$mode" "$file"
	args=
	[ -f "$here/$name.args" ] && args=$(cat "$here/$name.args")
	run_keepd "$name" -nv -f "$file" >"$tmp/out" 2>"$tmp/err"
	status=$?
	if [ -f "$here/$name.err" ]; then
		case_err
	else
		case_ok
	fi
}

for in in "$here"/*.in; do
	one_case "$(basename "$in" .in)"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

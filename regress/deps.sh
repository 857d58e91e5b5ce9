#!/bin/sh
# Install what is missing on a Debian 12: sh regress/deps.sh build|test|lint|bench ...
# Asks dpkg first, so it costs nothing where everything is there; needs root or
# sudo only when something has to be installed.
set -eu

pkgs_for() {
	case $1 in
	build) echo gcc make libc6-dev pkg-config bison libevent-dev \
	    libbsd-dev libjansson-dev libpcre2-dev ;;
	demo) echo curl procps ;;
	test) echo check libsubunit-dev clang python3 valgrind mandoc procps \
	    passwd util-linux binutils libclang-rt-14-dev nodejs npm ;;
	lint) echo clang-tidy cppcheck mandoc shellcheck clang ;;
	bench) echo python3 ripgrep wrk nodejs npm ;;
	*) echo "deps.sh: unknown set '$1'" >&2; exit 2 ;;
	esac
}

# A tool that is there by another way (a node of one's own, say) will do.
have() {
	case $1 in
	nodejs) command -v node >/dev/null 2>&1 && return 0 ;;
	python3) [ -x /usr/bin/python3 ] && return 0 ;;
	npm|gcc|make|curl) command -v "$1" >/dev/null 2>&1 && return 0 ;;
	pkg-config) command -v pkg-config >/dev/null 2>&1 && return 0 ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null |
	    cut -c1-2)" = ii ]
}

missing=
for set_ in "$@"; do
	for p in $(pkgs_for "$set_"); do
		have "$p" || missing="$missing $p"
	done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "deps.sh: missing:$missing" >&2
	echo "deps.sh: no apt-get here; install them by your system's means" >&2
	exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
	root=
elif command -v sudo >/dev/null 2>&1; then
	root=sudo
else
	echo "deps.sh: missing:$missing" >&2
	echo "deps.sh: neither root nor sudo; ask an administrator for:" >&2
	echo "  apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing"
$root apt-get update -qq
# shellcheck disable=SC2086	# a list of words
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends $missing >/dev/null

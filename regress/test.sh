#!/usr/bin/env bash
# Every check there is, in order of cost; each stage prints its own lines and
# closes with "N passed, N failed, N skipped".  The last line sums them up.
#	STAGES="unit e2e" regress/test.sh	runs only these
set -u
cd "$(dirname "$0")/.." || exit 1
MAKE=${MAKE:-make}
stages=${STAGES:-build conf symbols unit sandbox torture e2e san valgrind}
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# stage NAME COMMAND...: run it, add up its closing line.  A stage that ends
# without one, or with another status than its count says, is a failure.
stage() {
	local name=$1 rc line t0=$SECONDS
	shift
	case " $stages " in *" $name "*) ;; *) return ;; esac
	printf '\n== %s\n' "$name"
	"$@" 2>&1 | tee "$log"
	rc=${PIPESTATUS[0]}
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]
	then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
		if [ "$rc" -ne 0 ] && [ "${BASH_REMATCH[2]}" -eq 0 ]; then
			failed=$((failed + 1))
			echo "stage $name: exit status $rc"
		fi
	else
		failed=$((failed + 1))
		echo "stage $name: no closing line, exit status $rc"
	fi
	echo "   ($name: $((SECONDS - t0)) s)"
}

# simple NAME COMMAND...: a command that is one check.
simple() {
	if "${@:2}"; then
		echo "ok $1"
		echo "1 passed, 0 failed, 0 skipped"
	else
		echo "not ok $1"
		echo "0 passed, 1 failed, 0 skipped"
	fi
}

build() {
	local n=0 bad=0
	for v in CC=gcc CC=clang "CC=gcc SAN=1"; do
		n=$((n + 1))
		# shellcheck disable=SC2086	# variables of make
		if $MAKE -s -j"$(nproc)" $v all check-programs; then
			echo "ok build $v"
		else
			echo "not ok build $v"
			bad=$((bad + 1))
		fi
	done
	echo "$((n - bad)) passed, $bad failed, 0 skipped"
	[ "$bad" -eq 0 ]
}

# Check's own closing line ("97%: Checks: 31, Failures: 1, Errors: 0"), put
# into the common form.
unit() {
	"$@" | tee /dev/stderr | awk '
	/^[0-9]+%: Checks: / {
		gsub(/[,:%]/, " ")
		checks += $3; bad += $5 + $7
	}
	/^skip: / { skipped++ }
	END {
		printf "%d passed, %d failed, %d skipped\n", checks - bad,
		    bad, skipped
		exit (bad > 0 || checks == 0)
	}'
	local rc=("${PIPESTATUS[@]}")
	[ "${rc[0]}" -eq 0 ] && [ "${rc[2]}" -eq 0 ]
}

export CK_TIMEOUT_MULTIPLIER=4
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
stage build build
stage conf sh regress/conf/run.sh .build/gcc/sbin/keepd
stage symbols sh regress/symbols.sh .build/gcc
stage unit unit .build/gcc/regress/unit
stage sandbox .build/gcc/regress/sandbox-probe --all
stage torture simple "logger killed under load" \
    .build/gcc/regress/torture-logger .build/gcc 30
stage e2e python3 regress/e2e/run.py --bin .build/gcc
stage san unit .build/gcc-san/regress/unit
# What differs in system mode only need not be seen twice.
stage san python3 regress/e2e/run.py --bin .build/gcc-san --tag san --mode user
# valgrind is 50 times slower: the tests that count on quantity take less.
stage valgrind unit env UNIT_SHORT=1 CK_TIMEOUT_MULTIPLIER=60 valgrind -q \
    --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
    .build/gcc/regress/unit

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

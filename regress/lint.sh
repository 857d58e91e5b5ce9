#!/usr/bin/env bash
# clang-tidy, cppcheck, mandoc and shellcheck over the whole tree.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
mapfile -t sources < <(git ls-files -co --exclude-standard \
    'common/*.c' 'parent/*.c' 'supervisor/*.c' 'logger/*.c' 'frontend/*.c' \
    'frontend/ctl/*.c' | grep -Ev 'sandbox_(openbsd|none)')
mapfile -t manuals < <(git ls-files -co --exclude-standard '*.[58]')
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)

echo "clang-tidy: ${#sources[@]} files"
# shellcheck disable=SC2016	# expanded by the inner shell
printf '%s\0' "${sources[@]}" | xargs -0 -n 8 -P "$(nproc)" sh -c '
	flags=$0; clang-tidy --quiet "$@" -- $flags 2>/dev/null' \
    "${CFLAGS_LINT//-fcf-protection=full/}" || bad=1
# cppcheck reads no system header, but has to know the loops of queue.h.
mkdir -p .build/lint/sys
cp /usr/include/bsd/sys/queue.h /usr/include/bsd/sys/tree.h \
    /usr/include/bsd/sys/cdefs.h .build/lint/sys/
echo "cppcheck"
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
    --enable=warning,portability,performance -j "$(nproc)" \
    --suppress=missingIncludeSystem -Icommon -I.build/lint \
    "${sources[@]}" || bad=1
echo "mandoc: ${#manuals[@]} pages"
mandoc -Tlint -W warning "${manuals[@]}" || bad=1
echo "shellcheck: ${#scripts[@]} scripts"
shellcheck "${scripts[@]}" || bad=1
exit "$bad"

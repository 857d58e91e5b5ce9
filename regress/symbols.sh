#!/bin/sh
# What the programs are made of, read off the binaries: who links what, who
# could start a program at all, and the hardening of each.
#	sh regress/symbols.sh [BUILD-TREE]
tree=${1:-.build/gcc}
passed=0 failed=0 skipped=0

good() {
	echo "ok $1"
	passed=$((passed + 1))
}

bad() {
	echo "not ok $1"
	failed=$((failed + 1))
}

file_of() {
	case $1 in
	parent) echo "$tree/sbin/keepd" ;;
	keepctl) echo "$tree/bin/keepctl" ;;
	*) echo "$tree/libexec/keepd/$1" ;;
	esac
}

# no_library ROLE LIBRARY: neither itself nor by what it links.
no_library() {
	if ldd "$(file_of "$1")" | grep -q "$2"; then
		bad "$1 does not link $2"
	else
		good "$1 does not link $2"
	fi
}

has_library() {
	if ldd "$(file_of "$1")" | grep -q "$2"; then
		good "$1 links $2"
	else
		bad "$1 links $2"
	fi
}

# no_symbol ROLE WHAT REGEX: imports no function of such a name.
no_symbol() {
	found=$(nm -D --undefined-only "$(file_of "$1")" |
	    awk '{ sub(/@.*/, "", $2); print $2 }' | grep -Ex "$3" |
	    tr '\n' ' ')
	if [ -n "$found" ]; then
		bad "$1 imports no $2: $found"
	else
		good "$1 imports no $2"
	fi
}

hardened() {
	f=$(file_of "$1")
	if readelf -hW "$f" | grep -q 'Type:.*DYN'; then
		good "$1 is position-independent"
	else
		bad "$1 is position-independent"
	fi
	if readelf -lW "$f" | grep -q GNU_RELRO &&
	    readelf -dW "$f" | grep -Eq 'BIND_NOW|FLAGS.*NOW'; then
		good "$1 has full RELRO"
	else
		bad "$1 has full RELRO"
	fi
	if readelf -lW "$f" | grep GNU_STACK | grep -q 'RWE'; then
		bad "$1 has no executable stack"
	else
		good "$1 has no executable stack"
	fi
	if readelf -lW "$f" | grep -E '^ *LOAD' | grep -q 'RWE'; then
		bad "$1 has no segment that is writable and executable"
	else
		good "$1 has no segment that is writable and executable"
	fi
	if nm -D --undefined-only "$f" | grep -q __stack_chk_fail; then
		good "$1 has a stack protector"
	else
		bad "$1 has a stack protector"
	fi
	if nm -D --undefined-only "$f" | grep -q '_chk@'; then
		good "$1 is fortified"
	else
		bad "$1 is fortified"
	fi
	if readelf -dW "$f" | grep -Eq 'RPATH|RUNPATH'; then
		bad "$1 has no RPATH"
	else
		good "$1 has no RPATH"
	fi
}

exec_='(exec(v|vp|vpe|ve|l|lp|le|veat)|fexecve)'
spawn_='(posix_spawnp?|system|popen|wordexp)'
fork_='(v?fork|_Fork|clone|clone3|daemon|forkpty)'

for role in parent supervisor logger searcher frontend keepctl; do
	if [ ! -x "$(file_of $role)" ]; then
		bad "$role is built"
		continue
	fi
	hardened $role
done

for role in parent supervisor frontend logger keepctl; do
	no_library $role libpcre2
done
has_library searcher libpcre2
for role in parent supervisor logger searcher; do
	no_library $role libjansson
	no_library $role libevent_extra
done
has_library frontend libjansson
for role in parent supervisor logger searcher; do
	no_symbol $role "HTTP" 'evhttp_.*'
done

# The frontend can start nothing; the logger its searcher alone, and that by
# posix_spawn before it locks itself up; the searcher forks and never execs.
no_symbol frontend "exec" "$exec_"
no_symbol frontend "spawn" "$spawn_"
no_symbol frontend "fork" "$fork_"
no_symbol frontend "dlopen" 'dlopen|dlmopen'
no_symbol frontend "connect or bind" 'connect|bind'
no_symbol logger "exec" "$exec_"
no_symbol logger "fork" "$fork_"
no_symbol logger "system or popen" 'system|popen|wordexp|posix_spawnp'
no_symbol logger "socket" 'socket|connect|bind|listen|accept4?'
no_symbol searcher "exec" "$exec_"
no_symbol searcher "spawn" "$spawn_"
no_symbol searcher "socket" 'socket|connect|bind|listen|accept4?'
for role in parent supervisor logger searcher frontend keepctl; do
	no_symbol $role "unbounded copy" 'strcpy|strcat|sprintf|vsprintf|gets'
done
for role in parent supervisor; do
	no_symbol $role "system or popen" 'system|popen|wordexp'
	no_symbol $role "regular expressions" 'regcomp|regexec|pcre2_.*'
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

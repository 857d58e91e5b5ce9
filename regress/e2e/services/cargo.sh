#!/bin/sh
# A cargo of our own: notes how it was called, waits where the test wants it
# to, fails where the test wants that, else "builds" a binary that is a script.
#	CARGO_LOG	a line for each call: arguments
#	CARGO_GATE	a FIFO to read before going on, if it exists
#	CARGO_FAIL	a file; if it exists the build fails
#	CARGO_BODY	the script that becomes the binary
echo "$*" >>"$CARGO_LOG"
echo "Compiling $*"
echo "warning: on stderr" >&2
[ -x "$CARGO_NOTE" ] && "$CARGO_NOTE" "cargo $*"
if [ -p "$CARGO_GATE" ]; then
	cat "$CARGO_GATE" >/dev/null
fi
if [ -e "$CARGO_FAIL" ]; then
	echo "error[E0308]: mismatched types" >&2
	exit 101
fi
dir=debug
for a in "$@"; do
	[ "$a" = --release ] && dir=release
done
[ -e "$CARGO_FAIL.artifact" ] && exit 0
name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' Cargo.toml)
mkdir -p "target/$dir"
{
	echo "#!/bin/sh"
	echo "BUILT=$dir; export BUILT"
	cat "$CARGO_BODY"
} >"target/$dir/$name.new"
chmod 755 "target/$dir/$name.new"
mv "target/$dir/$name.new" "target/$dir/$name"
echo "Finished $dir"

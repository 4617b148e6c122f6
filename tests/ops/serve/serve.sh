# serve.sh - sourced by tests that look from outside: starts kolk-ops-serve of $build, ends it.
# Afterwards: $work (a folder of its own), $address, $token, and result NAME STATUS for TAP.
work=$(mktemp -d)
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$token" >"$work/token"
mkfifo "$work/stdin"
"$build/tests/kolk-ops-serve" 127.0.0.1:0 "$work/token" <"$work/stdin" >"$work/address" 2>"$work/stderr" &
server=$!
exec 9>"$work/stdin" # it ends when this is closed
trap 'exec 9>&-; wait "$server"; rm -rf "$work"' EXIT
for _ in $(seq 100); do
	[ -s "$work/address" ] && break
	sleep 0.1
done
address=$(cat "$work/address")

count=0 failed=0
# $work/said is printed when it failed.
result() {
	count=$((count + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $count - $1"
	else
		[ -s "$work/said" ] && head -n 20 "$work/said" | sed 's/^/# /'
		echo "not ok $count - $1"
		failed=1
	fi
	: >"$work/said"
}
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

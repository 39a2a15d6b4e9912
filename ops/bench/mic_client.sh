#!/bin/sh
# One client of `make bench` part a that starts `mic land` for every landing.
#
#   mic_client.sh NUMBER CLIENTS SEED_DIR LANDED STOP
#
# Works in the current directory, a workspace. As git_client.sh else.
set -u
number=$1 clients=$2 seed=$3 landed=$4 stop=$5

dir=src$(printf %02d $((number % 32)))
step=$(((clients + 31) / 32))
first=$((number / 32))
text=$(cat "$seed/$dir/file00.c")
n=0
file=$first

while [ ! -e "$stop" ]; do
    for i in 1 2 3; do
        echo "/* $number, $n, $i */
$text" >"$dir/file$(printf %02d "$file").c"
        file=$((file + step))
        [ "$file" -lt 31 ] || file=$first
    done
    n=$((n + 1))
    attempts=1
    while ! mic land -m "Make three files better" >/dev/null; do
        echo 0 >>"$landed"
        [ ! -e "$stop" ] || exit 0
        [ "$attempts" -lt 20 ] || exit 1
        mic sync >/dev/null
        attempts=$((attempts + 1))
    done
    echo 1 >>"$landed"
done

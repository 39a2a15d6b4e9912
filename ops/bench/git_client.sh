#!/bin/sh
# One git client of `make bench` part a: writes three files of about 2 KB on paths of its own, commits, and pushes until it has landed.
#
#   git_client.sh retry|backoff|lock NUMBER CLIENTS SEED_DIR LOCK LANDED STOP
#
# Works in the current directory, a clone. Appends to the file LANDED a line for each push: 1 when it
# landed, 0 when it was rejected. Ends when the file STOP is there.
#
# retry    a rejected push is followed at once by fetch, rebase and push
# backoff  the same after a random pause of up to two seconds
# lock     fetch, rebase and push while holding a lock: the clients take turns
set -u
how=$1 number=$2 clients=$3 seed=$4 lock=$5 landed=$6 stop=$7

dir=src$(printf %02d $((number % 32)))
step=$(((clients + 31) / 32))
first=$((number / 32))
text=$(cat "$seed/$dir/file00.c")
n=0
file=$first
# The shell's own arithmetic is the quickest source of chance.
chance=$((number * 7919 + 12345))

write_files() {
    paths=
    for i in 1 2 3; do
        path=$dir/file$(printf %02d "$file").c
        echo "/* $number, $n, $i */
$text" >"$path"
        paths="$paths $path"
        file=$((file + step))
        [ "$file" -lt 31 ] || file=$first
    done
    n=$((n + 1))
}

catch_up() {
    git fetch -q origin && git rebase -q origin/main
}

land() {
    while ! git push -q origin HEAD:main 2>/dev/null; do
        echo 0 >>"$landed"
        [ ! -e "$stop" ] || exit 0
        if [ "$how" = backoff ]; then
            chance=$(((chance * 1103515245 + 12345) % 2147483648))
            ms=$((chance / 65536 % 2000))
            sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
        fi
        catch_up || exit 1
    done
    echo 1 >>"$landed"
}

while [ ! -e "$stop" ]; do
    write_files
    git add $paths && git commit -q -m "Make three files better" || exit 1
    if [ "$how" = lock ]; then
        exec 9>"$lock"
        flock 9
        [ ! -e "$stop" ] || exit 0
        catch_up || exit 1
        land
        exec 9>&-
    else
        land
    fi
done

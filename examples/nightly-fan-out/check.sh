# Checks files: the last line of each tells how many readings are before it. Writes down the checksum, the size, the readings and
# the name of each, and tells how many there are. One broken file fails them all, by its name. The input is {"files": [names]}.
. ./field.sh
out="../out-$OARLOCK_RUN/$(printf '%s' "$OARLOCK_TASK_PATH" | tr -c 'a-z0-9' '-')"
cd work/in || fail NO_FILES "there is no work/in; make it with make-files.sh"
# The names are plain; each stands between quotes.
set -- $(printf '%s' "$input" | tr '"' '\n' | grep '^device-')
awk 'BEGIN {
    for (file = 1; file < ARGC; file++) {
        name = ARGV[file]; lines = 0; last = ""
        while ((getline line < name) > 0) { lines++; last = line }
        close(name)
        if (last != "end," (lines - 1)) { print name; exit 1 }
        print lines - 1
    }
}' "$@" > "$out.readings" || fail BROKEN_FILE "$(tail -n 1 "$out.readings") is cut off, or was changed"
cksum "$@" > "$out.sums" || fail NO_FILE "a file is gone"
paste -d ' ' "$out.readings" "$out.sums" > "$out.checked"
rm "$out.sums" "$out.readings"
awk '{ readings += $1 } END { printf "{\"files\":%d,\"readings\":%d}\n", NR, readings }' "$out.checked"

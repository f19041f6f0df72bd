# Checks that the log is there and looks like one; tells its size and the host it names.
. ./field.sh
log=$(field log)
[ -r "$log" ] || fail NO_LOG "there is no readable $log"
awk '
    /^#host:/ { host = substr($0, 7); next }
    { lines++; bytes += length($0) + 1 }
    END {
        if (lines == 0) exit 3
        printf "{\"lines\":%d,\"bytes\":%d,\"host\":\"%s\"}\n", lines, bytes, host
    }' "$log" || fail EMPTY_LOG "$log has no lines"

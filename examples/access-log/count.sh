# Counts one part. Lines that are no requests are set aside first; then the attempt fails, and its retry counts what is left.
. ./field.sh
part=$(field part)
request='^[0-9a-f.:]+ [^ ]+ [^ ]+ \[[^]]+\] "[A-Z]+ [^ ]+ HTTP\/[0-9.]+" [0-9][0-9][0-9] [0-9]+ [0-9]+$'
set_aside=$(awk -v request="$request" '$0 !~ request' "$part" | tee "$part.rejected.new" | wc -l)
if [ "$set_aside" -gt 0 ]; then
    awk -v request="$request" '$0 ~ request' "$part" > "$part.good"
    cat "$part.rejected.new" >> "$work/rejected"
    mv "$part.good" "$part"
    fail MALFORMED_LINES "$(echo $set_aside) lines of $part were no requests and are set aside"
fi
awk -v paths="$part.paths" '
    {
        requests++; bytes += $(NF - 1); count[$7]++
        if ($(NF - 2) >= 500) errors++
        if ($NF > slowest) { slowest = $NF; where = $7 }
    }
    END {
        for (path in count) print count[path], path > paths
        printf "{\"requests\":%d,\"errors\":%d,\"bytes\":%d,\"slowestMs\":%d,\"slowestPath\":\"%s\"}\n", requests, errors, bytes, slowest, where
    }' "$part"

# Adds the counts of all parts up and names the five most wanted paths.
. ./field.sh
rejected=0
[ -f "$work/rejected" ] && rejected=$(awk 'END { print NR }' "$work/rejected")
cat "$work"/part-*.paths | awk '{ count[$2] += $1 } END { for (path in count) print count[path], path }' |
    sort -k1,1nr -k2 | awk -v rejected="$rejected" '
        NR <= 5 { top = top (NR > 1 ? "," : "") "{\"path\":\"" $2 "\",\"requests\":" $1 "}" }
        END { printf "{\"paths\":%d,\"rejected\":%d,\"top\":[%s]}\n", NR, rejected, top }'

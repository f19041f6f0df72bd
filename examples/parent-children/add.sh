# Counts the orders of a region and adds them up.
. ./field.sh
awk -F, '{ cents += $3 } END { printf "{\"orders\":%d,\"cents\":%d}\n", NR, cents }' "$(field file)"

# Compares with an earlier report, where there is one.
. ./field.sh
previous=$(field previous)
requests=$(field requests)
[ -f "$previous" ] || fail NO_EARLIER_REPORT "there is no $previous to compare with"
awk -v requests="$requests" '$1 == "requests" { printf "{\"change\":%d}\n", requests - $2 }' "$previous"

# Writes the report of the night: what was checked, in the order of the names, and what is broken.
. ./field.sh
out="work/out-$OARLOCK_RUN"
{
    printf 'files %s\nreadings %s\n' "$(field files)" "$(field readings)"
    printf '%s' "$input" | tr '"' '\n' | sed -n 's/^device-.*/broken &/p'
    echo
    sort -k 4 "$out"/*.checked
} > work/report.txt.new && mv work/report.txt.new work/report.txt || fail NO_REPORT "work/report.txt cannot be written"
rm -rf "$out"
echo '{"report":"work/report.txt"}'

# Writes the report.
. ./field.sh
report=$(field report)
{
    echo "Access report of $(field host)"
    echo
    for name in requests errors errorShare bytes rejected slowestMs slowestPath comparison; do
        printf '%-12s %s\n' "$name" "$(field $name)"
    done
    echo
    echo "most wanted"
    printf '%s\n' "$input" | awk '{
        while (match($0, /\{"path":"[^"]*","requests":[0-9]+\}/)) {
            split(substr($0, RSTART, RLENGTH), part, "\"")
            number = part[7]
            gsub(/[^0-9]/, "", number)
            printf "%8d %s\n", number, part[4]
            $0 = substr($0, RSTART + RLENGTH)
        }
    }'
} > "$report.new" && mv "$report.new" "$report" || fail NO_REPORT "$report cannot be written"
printf '{"report":"%s","lines":%d}\n' "$report" "$(awk 'END { print NR }' "$report")"

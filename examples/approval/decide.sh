# Writes a decision below a request, and an approved one into the list of what is to be bought: once, also where it is asked twice.
. ./field.sh
file=$(field file)
id=$(field id)
if [ "$(field decision)" = approved ] && ! grep -qs "^$id," work/to-buy.csv; then
    printf '%s,%s,%s\n' "$id" "$(field what)" "$(field amount)" >> work/to-buy.csv
fi
grep -qx '[a-z]* by .*' "$file" || printf '%s by %s\n' "$(field decision)" "$(field by)" >> "$file"
echo '{}'

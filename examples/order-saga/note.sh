# Writes down why an order failed.
. ./ledger.sh
printf 'order %s failed: %s: %s\n' "$(field order)" "$(field code)" "$(field message)" >> work/notes.txt
echo '{}'

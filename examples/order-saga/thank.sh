# Writes the letter that goes with the parcel.
. ./ledger.sh
email=$(field email)
[ -n "$email" ] || fail NO_EMAIL "nobody knows where to send the letter"
printf 'To: %s\nOrder %s is on its way.\n' "$email" "$(field order)" > "work/letter-$(field order).txt"
echo '{}'

# Writes a request down, for whoever decides it.
. ./field.sh
mkdir -p work
file="work/request-$(field id).txt"
printf '%s asks for %s: %s\n' "$(field who)" "$(field what)" "$(field amount)" > "$file" || fail NO_REQUEST "$file cannot be written"
echo "{\"file\":\"$file\"}"

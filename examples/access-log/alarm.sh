# Writes down that too many requests failed.
. ./field.sh
printf '%s errors in %s\n' "$(field share)" "$(field host)" >> alarm.txt
echo '{"written":"alarm.txt"}'

# Start, look and fetch as one task, which is looked at again and again. OARLOCK_STATE is what the last look left behind; the first
# look has none. Exit status 75 asks for another one.
. ./field.sh
. ./begin.sh
if [ -z "$OARLOCK_STATE" ]; then
    begin "$(field text)"
    looks=0
else
    input=$OARLOCK_STATE
    job=$(field job)
    looks=$(field looks)
fi
state_of "$job"
if [ "$state" != DONE ]; then
    echo "{\"after\":\"300ms\",\"state\":{\"job\":\"$job\",\"looks\":$((looks + 1)),\"percent\":$said}}"
    exit 75
fi
cat "$job/result.json"

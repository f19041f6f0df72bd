# Splits the log into four parts of about the same number of lines, in a folder of this run.
. ./field.sh
log=$(field log)
lines=$(field lines)
mkdir -p "$work" || fail NO_ROOM "the folder $work cannot be made"
awk -v work="$work" -v most="$(( (lines + 3) / 4 ))" '
    /^#/ { next }
    { part = int(seen / most) + 1; seen = seen + 1; print > (work "/part-" part) }' "$log" || fail NO_ROOM "$log cannot be split"
printf '{"first":"%s/part-1","second":"%s/part-2","third":"%s/part-3","fourth":"%s/part-4"}\n' "$work" "$work" "$work" "$work"

# The external job, which knows nothing of Oarlock: counts the words of a text, a quarter after the other. It takes about two
# seconds, and leaves in its folder `state` (RUNNING and how far, DONE, or FAILED and why) and `result.json`.
# Usage: sh job.sh TEXT FOLDER
text=$1
folder=$2

state() {
    echo "$*" > "$folder/state.new" && mv "$folder/state.new" "$folder/state"
}

state RUNNING 0
[ -r "$text" ] || { state FAILED "there is no text $text"; exit 1; }
lines=$(( ($(wc -l < "$text") + 3) / 4 ))
for quarter in 1 2 3 4; do
    tail -n +$(( (quarter - 1) * lines + 1 )) "$text" | head -n "$lines" |
        tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | grep . >> "$folder/words"
    sleep 0.5
    state RUNNING $(( quarter * 25 ))
done
often=$(sort "$folder/words" | uniq -c | sort -k1,1nr -k2 | awk 'NR == 1 { print $2 }')
printf '{"words":%d,"distinct":%d,"often":"%s"}\n' "$(wc -l < "$folder/words")" "$(sort -u "$folder/words" | wc -l)" "$often" \
    > "$folder/result.json"
rm "$folder/words"
state DONE

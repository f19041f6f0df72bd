# Sourced by the other scripts: reads the input, and finds a text or number in it by its name.
input=$(cat)

field() {
    printf '%s\n' "$input" | awk -v name="$1" '
        match($0, "\"" name "\"[ ]*:[ ]*(\"[^\"]*\"|-?[0-9.]+(e-?[0-9]+)?)") {
            value = substr($0, RSTART, RLENGTH)
            sub(/^"[^"]*"[ ]*:[ ]*/, "", value)
            gsub(/^"|"$/, "", value)
            print value
        }'
}

# Ends the attempt with a code of its own, which retry policies and error handlers can name.
fail() {
    echo "oarlock-error: $1 $2" >&2
    exit 1
}

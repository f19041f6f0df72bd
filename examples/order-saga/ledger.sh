# Sourced by the other scripts: reads the input, and books in the ledgers of work/. A ledger has lines `place,what,amount`.
#
# Each booking has the key of its task, which all attempts and the compensation of the task share. So a booking is made once,
# however often it is asked for, and can be taken back.
input=$(cat)
key="$OARLOCK_IDEMPOTENCY_KEY"

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

# One at a time: a folder can be made only once. Who finds it made tries again, as the retry policy says.
lock() {
    mkdir work/lock 2>/dev/null || fail LEDGER_BUSY "somebody else is at the ledgers, or work/ is not set up"
    trap 'rmdir work/lock' EXIT
    trap 'exit 1' HUP INT TERM
}

# Whether this task has booked in this ledger.
is_booked() {
    awk -F, -v key="$key" '$1 == key { found = 1 } END { exit !found }' "work/$1"
}

# Puts an amount of something aside, from a place of a ledger to this task. Fails where there is less.
book() {
    is_booked "$1" && return
    awk -F, -v OFS=, -v from="$2" -v what="$3" -v amount="$4" -v key="$key" '
        $1 == from && $2 == what && $3 >= amount { $3 -= amount; done = 1 }
        { print }
        END { if (done) print key, what, amount; exit !done }' "work/$1" > "work/$1.new" && mv "work/$1.new" "work/$1"
}

# Gives back what this task has put aside, if anything; prints how much.
give_back() {
    awk -F, -v OFS=, -v to="$2" -v what="$3" -v key="$key" -v new="work/$1.new" '
        NR == FNR { if ($1 == key) amount += $3; next }
        $1 == key { next }
        $1 == to && $2 == what { $3 += amount }
        { print > new }
        END { print amount + 0 }' "work/$1" "work/$1" && mv "work/$1.new" "work/$1"
}

# Writes a night's files into work/in: 5,000, or as many as the first argument says. Each has a line a reading and ends with
# their number. Two of them are broken: one was cut off, in the other the number is wrong.
cd "$(dirname "$0")" || exit 1
rm -rf work
mkdir -p work/in || exit 1
awk -v files="${1:-5000}" 'BEGIN {
    for (number = 1; number <= files; number++) {
        name = sprintf("work/in/device-%05d.csv", number)
        lines = 3 + number * 7 % 10
        for (line = 1; line <= lines; line++) printf "%02d:00,%d\n", line, (number * 31 + line * 17) % 1000 > name
        if (number == int(files / 4)) lines = lines + 1
        if (number != int(files / 2) + 1) print "end," lines > name
        close(name)
    }
    print files " files are in work/in"
}'

# Lists the files of the night, by their names alone.
. ./field.sh
cd work/in 2>/dev/null || fail NO_FILES "there is no work/in; make it with make-files.sh"
mkdir -p "../out-$OARLOCK_RUN"
ls | awk '{ printf "%s\"%s\"", (NR > 1 ? "," : "{\"files\":["), $0 } END { print (NR ? "]}" : "{\"files\":[]}") }'

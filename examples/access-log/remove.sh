# Removes the folder of this run.
. ./field.sh
rm -rf "$work"
rmdir work 2>/dev/null
echo '{}'

# Writes the overview of all regions.
. ./field.sh
{
    printf 'orders %s\ncents %s\n' "$(field orders)" "$(field cents)"
    printf 'missing %s\n' "$(field missing)"
} > work/overview.txt.new && mv work/overview.txt.new work/overview.txt || fail NO_OVERVIEW "work/overview.txt cannot be written"
echo '{"overview":"work/overview.txt"}'

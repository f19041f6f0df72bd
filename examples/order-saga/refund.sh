# Undoes charge.sh. A charge that failed is undone too (`when: ATTEMPTED`): where nothing was taken, nothing is given back.
. ./ledger.sh
lock
echo "{\"refunded\":$(give_back accounts.csv "$(field customer)" cents)}"

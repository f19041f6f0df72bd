# Undoes reserve.sh: puts the goods back on the shelf.
. ./ledger.sh
lock
echo "{\"released\":$(give_back stock.csv shelf "$(field sku)")}"

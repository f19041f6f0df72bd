# Takes goods from the shelf for an order.
. ./ledger.sh
sku=$(field sku)
lock
book stock.csv shelf "$sku" "$(field quantity)" || fail OUT_OF_STOCK "there are not so many of $sku on the shelf"
echo "{\"reservation\":\"$key\"}"

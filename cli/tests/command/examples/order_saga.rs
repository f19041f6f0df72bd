//! examples/order-saga: what fails leaves stock and money as they were.

use serde_json::json;

use super::{Example, statuses};
use crate::harness::task;

const ORDER: &str = "oarlock run examples/order-saga/workflow.yaml --input @examples/order-saga/order.json";
const TOO_FAR: &str =
    "oarlock run examples/order-saga/workflow.yaml --input @examples/order-saga/too-far.json";
const NO_EMAIL: &str =
    "oarlock run examples/order-saga/workflow.yaml --input @examples/order-saga/no-email.json";
const TOO_DEAR: &str =
    "oarlock run examples/order-saga/workflow.yaml --input @examples/order-saga/too-dear.json";
const LEDGERS: [&str; 3] = ["work/stock.csv", "work/accounts.csv", "work/parcels.csv"];

fn shop() -> Example {
    let example = Example::copy("order-saga");
    example.types("sh examples/order-saga/set-up.sh").exits(0);
    example
}

fn ledgers(example: &Example) -> [String; 3] {
    LEDGERS.map(|ledger| example.read(ledger))
}

#[test]
fn an_order_that_goes_well_is_booked_once() {
    let example = shop();
    let run = example.types_with(ORDER, "--json").exits(0).json();
    let key = |path: &str| task(&run, path)["id"].as_str().unwrap().to_owned();
    let [reserved, charged, shipped] = ["/reserve", "/charge", "/ship"].map(key);
    assert_eq!(run["output"], json!({"order": 1001, "receipt": charged, "parcel": shipped}));
    assert_eq!(
        ledgers(&example),
        [
            format!("shelf,lamp,3\nshelf,chair,2\n{reserved},lamp,2\n"),
            format!("ada,cents,11000\nben,cents,3000\n{charged},cents,9000\n"),
            format!("{shipped},1001,Bergen\n"),
        ]
    );
    assert_eq!(example.read("work/letter-1001.txt"), "To: ada@shop.example\nOrder 1001 is on its way.\n");
    example.is_quiet();
}

#[test]
fn stock_and_money_come_back_when_shipping_fails() {
    let example = shop();
    // Not the ledgers of a morning: those of a day on which something was sold.
    example.types(ORDER).exits(0);
    let before = ledgers(&example);
    let run = example.types_with(TOO_FAR, "--json").exits(1).json();
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("FAILED"), &json!("CITY_NOT_SERVED")));
    assert_eq!(ledgers(&example), before);
    assert_eq!(statuses(&run, &["/charge", "/ship"]), ["COMPLETED", "FAILED"]);
    assert_eq!(task(&run, "/charge:compensate")["output"], json!({"refunded": 4500}));
    assert_eq!(task(&run, "/reserve:compensate")["output"], json!({"released": 1}));
    let [refunded, released] =
        ["/charge:compensate", "/reserve:compensate"].map(|path| task(&run, path)["endTime"].to_string());
    assert!(refunded < released, "the last first: {refunded} {released}");
    assert_eq!(
        example.read("work/notes.txt"),
        "order 1002 failed: CITY_NOT_SERVED: the carrier does not go to Atlantis\n"
    );
    assert!(!example.folder.join("examples/order-saga/work/lock").exists());
    example.is_quiet();
}

#[test]
fn a_parcel_is_called_back_and_a_charge_that_failed_is_undone_too() {
    let example = shop();
    let before = ledgers(&example);
    let run = example.types_with(NO_EMAIL, "--json").exits(1).json();
    assert_eq!(statuses(&run, &["/ship", "/ship:compensate"]), ["COMPLETED", "COMPLETED"]);
    assert_eq!(ledgers(&example), before);

    let run = example.types_with(TOO_DEAR, "--json").exits(1).json();
    assert_eq!(statuses(&run, &["/reserve:compensate", "/charge"]), ["COMPLETED", "FAILED"]);
    assert_eq!(task(&run, "/charge:compensate")["output"], json!({"refunded": 0}));
    assert_eq!(ledgers(&example), before);
    assert_eq!(example.read("work/notes.txt").lines().count(), 2);
}

#[test]
fn what_the_readme_shows_is_told() {
    let example = shop();
    example.types(TOO_FAR).exits(1).says(&[
        " /ship FAILED: CITY_NOT_SERVED: the carrier does not go to Atlantis\n",
        " run COMPENSATING\n",
        " /charge:compensate COMPLETED\n",
        " /reserve:compensate COMPLETED\n",
        " /:onError/note COMPLETED\n",
        // Compensations have attempts and times of their own.
        "/reserve:compensate  COMPLETED  1 ",
    ]);
    example.passes("workflow.yaml", "mocks.yaml");
}

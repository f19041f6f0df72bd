//! What is known only inside an iteration: its item, its index, and the steps of a `forEach`.

use oarlock_protocol::definition::TaskKind;

use super::references::no_property;
use super::sites::{Site, Walk};
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;

const OF_COUNTS: &[&str] = &["total", "completed", "failed"];

impl Walk<'_, '_, '_> {
    /// The steps with iterations in which an expression stands, the innermost first.
    fn iterations(&self, site: Site) -> Vec<usize> {
        let outline = self.checker.outline;
        let Some(step) = site.step() else { return Vec::new() };
        let has_iterations =
            matches!(outline.steps[step].task.kind, TaskKind::ForEach(..) | TaskKind::Loop(..));
        let own = (has_iterations && site.is_within_iteration()).then_some(step);
        own.into_iter().chain(outline.iterations_around(step)).collect()
    }

    /// Whether `name` is the item, the index or the key of an iteration around.
    pub(super) fn is_of_an_iteration(&self, site: Site, name: &str) -> bool {
        // Looked up only for what may be one: most names are no item's.
        let names = &self.checker.names.items;
        if !names.contains_key(name) && !matches!(name, "index" | "key") {
            return false;
        }
        self.iterations(site).into_iter().any(|around| match &self.checker.outline.steps[around].task.kind {
            TaskKind::ForEach(each, _) => name == each.name || matches!(name, "index" | "key"),
            _ => name == "index",
        })
    }

    /// The problem of `item`, `index` or `key` where there is none.
    pub(super) fn no_iteration(&self, site: Site, place: &Place, name: &str) -> Finding {
        let steps = &self.checker.outline.steps;
        let called = self.iterations(site).into_iter().find_map(|around| match &steps[around].task.kind {
            TaskKind::ForEach(each, _) => Some(&each.name),
            _ => None,
        });
        let finding = |message: String| Finding::new(Code::OutOfScope, place, message);
        match (name, called) {
            ("item", Some(called)) => {
                finding(format!("the item is called `{called}` here")).help(format!("Write `{called}`."))
            }
            ("index", _) => finding("`index` is known only inside a forEach or loop".to_owned())
                .help("It counts the iterations of the step around, from 0."),
            _ => finding(format!("`{name}` is known only inside a forEach"))
                .help("It is that of one iteration; outside, read the whole list with `tasks.<id>.output`."),
        }
    }

    /// The problem of an item's name outside its forEach.
    pub(super) fn item_elsewhere(&self, name: &str, each: usize, place: &Place) -> Finding {
        let id = &self.checker.outline.steps[each].task.id;
        let message = format!("`{name}` is the item of the forEach `{id}`, and known only inside it");
        let help = format!("Outside, what `collect` gathered is `tasks.{id}.output`.");
        Finding::new(Code::OutOfScope, place, message).help(help)
    }

    /// `counts.total`
    pub(super) fn counts(&self, site: Site, place: &Place, path: &[&str]) -> Option<(Finding, usize)> {
        if matches!(site, Site::Counted(_)) {
            return no_property("counts", path.get(1)?, OF_COUNTS, place).map(|finding| (finding, 1));
        }
        let finding =
            Finding::new(Code::OutOfScope, place, "`counts` is known only in the `until` of a forEach");
        Some((finding.help("Elsewhere `size(tasks.<id>.output)` tells how many were collected."), 0))
    }

    /// The problem of naming a step that stands in a forEach, from outside: there may be many of it.
    pub(super) fn hidden(&self, site: Site, place: &Place, read: usize) -> Option<Finding> {
        let outline = self.checker.outline;
        let is_each = |&around: &usize| matches!(outline.steps[around].task.kind, TaskKind::ForEach(..));
        let is_reached = |around: usize| {
            site == Site::Ended(around) || site.step().is_some_and(|step| outline.is_inside(step, around))
        };
        let mut around = outline.iterations_around(read).into_iter().filter(is_each);
        let each = around.rfind(|&around| !is_reached(around))?;
        let (name, id) = (&outline.steps[read].task.id, &outline.steps[each].task.id);
        let message = format!("`{name}` is a step inside the forEach `{id}`, once for each item");
        let finding = Finding::new(Code::OutOfScope, place, message);
        Some(match site {
            Site::Counted(step) if step == each => finding
                .help("`until` is asked over `counts.total`, `counts.completed` and `counts.failed` alone."),
            _ => finding.help(format!(
                "Gather what it gives with `collect: \"${{ {name}.output }}\"`, and read `tasks.{id}.output`."
            )),
        })
    }
}

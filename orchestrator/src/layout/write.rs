//! Writes what a decision changed, each part of a run as a field of its own, except for small data.

use bytes::Bytes;
use oarlock_engine::Run;
use oarlock_engine::run::Changes;
use oarlock_protocol::{Json, TaskPath};

use super::{
    HEAD, INPUT, MAILBOX, ORIGIN, OUTPUT, SCOPED, TASK, TASK_INPUT, TASK_OUTPUT, VARIABLE, bytes, head, row,
};
use crate::store::{Key, Write};

/// The writes that store what changed in a run, and the places whose rows they hold.
pub fn write_changes(run: &mut Run, writes: &mut Vec<Write>) -> Vec<TaskPath> {
    let mut changes = std::mem::take(&mut run.changes);
    let mut fields = Fields { key: Key::Run(run.key.clone()), writes, gone: Vec::new() };
    fields.heads(run, &changes);
    for name in &changes.variables {
        if let Some(value) = run.variables.get(name) {
            fields.set([VARIABLE, name].concat(), bytes(value));
        }
    }
    if changes.mailbox {
        fields.set(MAILBOX.to_owned(), bytes(&run.mailbox));
    }
    for path in sorted(changes.scoped.drain()) {
        let field = of(SCOPED, &path);
        match run.scoped.get(&path) {
            Some(variables) => fields.set(field, bytes(variables)),
            None => fields.gone.push(field),
        }
    }
    // Data alone is a reason to write a row: small data lies in it.
    let rows = std::mem::take(&mut changes.rows).into_iter();
    let rows = rows.chain(changes.inputs.iter().chain(&changes.outputs).cloned());
    let mut paths = sorted(rows.filter(|path| !path.is_root()));
    paths.dedup();
    for path in &paths {
        fields.row(run, path, &changes);
    }
    for path in sorted(changes.removed) {
        if paths.binary_search(&path).is_err() {
            fields.gone.extend([TASK, TASK_INPUT, TASK_OUTPUT].map(|prefix| of(prefix, &path)));
        }
    }
    fields.remove_gone();
    paths
}

fn of(prefix: &str, path: &TaskPath) -> String {
    [prefix, path.as_str()].concat()
}

fn sorted(paths: impl IntoIterator<Item = TaskPath>) -> Vec<TaskPath> {
    let mut paths: Vec<TaskPath> = paths.into_iter().collect();
    paths.sort_unstable();
    paths
}

/// The fields of a run as they are written.
struct Fields<'a> {
    key: Key,
    writes: &'a mut Vec<Write>,
    /// Fields that are removed after that.
    gone: Vec<String>,
}

impl Fields<'_> {
    fn set(&mut self, field: String, value: Bytes) {
        self.writes.push(Write::HashSet { key: self.key.clone(), field, value });
    }

    fn heads(&mut self, run: &Run, changes: &Changes) {
        if changes.origin {
            let (origin, has_input) = head::encode_origin(&run.head, &run.input);
            self.set(ORIGIN.to_owned(), origin);
            if !has_input {
                self.set(INPUT.to_owned(), bytes(&run.input));
            }
        }
        if changes.head || changes.output {
            let output = run.output.as_ref().filter(|output| !output.is_null());
            let (head, has_output) = head::encode_head(&run.head, output);
            self.set(HEAD.to_owned(), head);
            match output {
                Some(output) if changes.output && !has_output => self.set(OUTPUT.to_owned(), bytes(output)),
                // Only where it was opened again can there be one of before.
                None if changes.output && run.head.generation > 0 => self.gone.push(OUTPUT.to_owned()),
                Some(_) | None => {}
            }
        }
    }

    fn row(&mut self, run: &Run, path: &TaskPath, changes: &Changes) {
        // What memory holds only a part of is never changed; written it would lose the rest.
        let Some(row) = run.rows.get(path).filter(|row| !row.is_partial) else { return };
        let encoded = row::encode(run.key.run, path, row);
        self.set(of(TASK, path), encoded.row);
        let is_anew = changes.removed.contains(path);
        let mut data = |prefix, data: Option<&Json>, is_inside: bool, is_changed: bool| match data {
            Some(data) if is_changed && !is_inside => self.set(of(prefix, path), bytes(data)),
            // That of the row which was here before.
            Some(_) | None if is_anew => self.gone.push(of(prefix, path)),
            Some(_) | None => {}
        };
        let [new_input, new_output] =
            [&changes.inputs, &changes.outputs].map(|changed| changed.contains(path));
        data(TASK_INPUT, row.input.as_ref(), encoded.has_input, new_input);
        data(TASK_OUTPUT, row.output.as_ref(), encoded.has_output, new_output);
    }

    fn remove_gone(self) {
        let removals = self.gone.into_iter();
        self.writes.extend(removals.map(|field| Write::HashDelete { key: self.key.clone(), field }));
    }
}

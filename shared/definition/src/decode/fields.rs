//! The fields of one mapping: which there are, which are missing, and which should not be there.

use super::{Decoder, example};
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::tree::{Node, Value};

/// The fields of a mapping.
pub(super) struct Fields<'n> {
    node: &'n Node,
    pub(super) place: Place,
    /// What the mapping is, such as "a task".
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// The value of a field and its place, if it is written.
    pub(super) fn get(&self, name: &str) -> Option<(&'n Node, Place)> {
        self.node.get(name).map(|entry| (&entry.node, self.place.key(name)))
    }

    /// Whether the field is written.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node.get(name).is_some()
    }
}

impl Decoder<'_, '_> {
    /// The fields of `node`, which is `what`; every field that is not `known` is told.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        place: &Place,
        what: &'static str,
        known: &[&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            return self.wrong_type(node, place, &format!("{what}, a mapping of `name: value`"));
        };
        for entry in entries {
            // A key that was told as a merge key already is not told again as unknown.
            if !known.contains(&entry.key.as_str()) && entry.key != "<<" {
                self.unknown_field(&entry.key, &place.key(&entry.key), what, known);
            }
        }
        Some(Fields { node, place: place.clone(), what })
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        read: impl FnOnce(&mut Self, &Node, &Place) -> Option<T>,
    ) -> Option<T> {
        if !fields.has(name) {
            let message = format!("{} needs the field `{name}`", fields.what);
            let finding = Finding::new(Code::MissingField, &fields.place, message);
            self.findings.push(finding.help(format!("Add it: `{}`.", example::of(name))));
            self.findings.hole(&fields.place.key(name));
            return None;
        }
        self.optional(fields, name, read)
    }

    /// A field that may be there; none where it is absent or was told as a problem.
    pub(super) fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        read: impl FnOnce(&mut Self, &Node, &Place) -> Option<T>,
    ) -> Option<T> {
        let (node, place) = fields.get(name)?;
        let value = match node.value {
            Value::Broken => None,
            Value::Null => {
                self.null_field(name, &place);
                None
            }
            _ => read(self, node, &place),
        };
        if value.is_none() {
            self.findings.advise(&place, || format!("Write, for example, `{}`.", example::of(name)));
            self.findings.hole(&place);
        }
        value
    }

    fn null_field(&mut self, name: &'static str, place: &Place) {
        let finding = Finding::new(Code::NullValue, place, format!("`{name}` has no value")).mark(Mark::Key);
        self.findings.push(
            finding.help(format!("Give it one, such as `{}`, or remove the field.", example::of(name))),
        );
    }

    fn unknown_field(&mut self, key: &str, place: &Place, what: &str, known: &[&'static str]) {
        let mut finding =
            Finding::new(Code::UnknownField, place, format!("{what} has no field `{key}`")).mark(Mark::Key);
        if key == "tasks" && known.contains(&"until") {
            finding = finding.help("`tasks` stands beside it, in the step itself.");
        } else if let Some(near) = self.findings.nearest(key, known.iter().copied()) {
            finding = finding.help(format!("Did you mean `{near}`?"));
        }
        self.findings.push(finding.help(format!("The fields are: {}.", known.join(", "))));
    }
}

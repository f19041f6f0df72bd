//! Variable mappings, in their long form (a list) and their short one (a mapping).

use std::collections::BTreeMap;

use oarlock_protocol::Json;
use oarlock_protocol::definition::{Transformation, VariableMapping};

use super::Decoder;
use super::fields::Fields;
use crate::code::Code;
use crate::expressions;
use crate::findings::Finding;
use crate::place::Place;
use crate::tree::{Node, Value};

const TYPES: &[&str] = &["DIRECT", "EXPRESSION", "TRANSFORM", "VALUE"];

impl Decoder<'_, '_> {
    pub(super) fn variable_mappings(&mut self, node: &Node, place: &Place) -> Option<Vec<VariableMapping>> {
        match &node.value {
            Value::Map(entries) => {
                self.findings.short_form(place);
                let short = |(key, node): (&String, &Node)| {
                    self.json(node, &place.key(key));
                    short_mapping(key, node.to_json())
                };
                Some(entries.iter().map(|entry| (&entry.key, &entry.node)).map(short).collect())
            }
            Value::List(_) => {
                self.list(node, place, "", Self::variable_mapping, || short_mapping("", Json::Null))
            }
            _ => self.wrong_type(
                node,
                place,
                "a mapping of variables to values, or a list of mappings with a `type`",
            ),
        }
    }

    fn variable_mapping(&mut self, node: &Node, place: &Place) -> Option<VariableMapping> {
        let kind = match node.get("type").map(|entry| &entry.node.value) {
            Some(Value::Text { text, .. }) if TYPES.contains(&text.as_str()) => text.as_str(),
            _ => return self.mapping_without_type(node, place),
        };
        let own: &[&str] = match kind {
            "DIRECT" => &["type", "source", "target", "default"],
            "EXPRESSION" => &["type", "expression", "target"],
            "VALUE" => &["type", "value", "target"],
            _ => &["type", "source", "target", "transformation", "default"],
        };
        let fields = self.fields(node, place, "a mapping of this type", own)?;
        let target = self.text_of(&fields, "target");
        Some(match kind {
            "DIRECT" => {
                let source = self.text_of(&fields, "source");
                VariableMapping::Direct { source, target, default: self.any(&fields, "default") }
            }
            "EXPRESSION" => {
                let expression = self.required(&fields, "expression", Self::expression).unwrap_or_default();
                VariableMapping::Expression { expression, target }
            }
            "VALUE" => {
                VariableMapping::Value { value: self.any(&fields, "value").unwrap_or_default(), target }
            }
            _ => {
                let source = self.text_of(&fields, "source");
                let transformation = self.required(&fields, "transformation", Self::transformations);
                let default = self.any(&fields, "default");
                let transformation = transformation.unwrap_or_default();
                VariableMapping::Transform { source, target, transformation, default }
            }
        })
    }

    /// Tells that the type is absent, or none of the three; the variable counts as written nevertheless.
    fn mapping_without_type(&mut self, node: &Node, place: &Place) -> Option<VariableMapping> {
        let known = ["type", "source", "target", "default", "expression", "transformation", "value"];
        let fields = self.fields(node, place, "a variable mapping", &known)?;
        self.required(&fields, "type", |decoder, node, place| decoder.choice::<String>(node, place, TYPES));
        Some(VariableMapping::Value { value: Json::Null, target: self.text_of(&fields, "target") })
    }

    /// A required text; an empty stand-in where it is wrong.
    fn text_of(&mut self, fields: &Fields<'_>, name: &'static str) -> String {
        self.required(fields, name, Self::text).unwrap_or_default()
    }

    /// A field that may have any value, null too.
    fn any(&mut self, fields: &Fields<'_>, name: &str) -> Option<Json> {
        let (node, place) = fields.get(name)?;
        self.json(node, &place)
    }

    fn transformations(&mut self, node: &Node, place: &Place) -> Option<Vec<Transformation>> {
        if let Value::Text { text, .. } = &node.value {
            return Some(vec![Transformation::Name(text.clone())]);
        }
        let wanted = "a list of transformations, such as `[trim, {round: 2}]`";
        self.list(node, place, wanted, Self::transformation, || Transformation::Name(String::new()))
    }

    fn transformation(&mut self, node: &Node, place: &Place) -> Option<Transformation> {
        match &node.value {
            Value::Text { text, .. } => Some(Transformation::Name(text.clone())),
            Value::Map(entries) if entries.len() == 1 => {
                let arguments: BTreeMap<String, Json> =
                    entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect();
                Some(Transformation::WithArgument(arguments))
            }
            Value::Map(_) => {
                let message = "a transformation with an argument is a mapping of one name";
                let finding = Finding::new(Code::InvalidTransformation, place, message);
                self.findings.push(finding.help("Write each in its own item: `[trim, {round: 2}]`."));
                None
            }
            _ => self.wrong_type(node, place, "the name of a transformation, or `{name: argument}`"),
        }
    }
}

/// The mapping that `target: value` stands for.
fn short_mapping(target: &str, value: Json) -> VariableMapping {
    let target = target.to_owned();
    match value {
        Json::String(text) if expressions::is_one_expression(&text) => {
            VariableMapping::Expression { expression: text, target }
        }
        value => VariableMapping::Value { value, target },
    }
}

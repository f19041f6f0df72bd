//! What steps of one kind have: iterations, children, joins and compensations. A `wait` has a file of its own.

use oarlock_protocol::Json;
use oarlock_protocol::definition::{
    ChildWorkflow, Compensation, ForEach, Join, Loop, Task, TaskKind, Tolerance,
};

use super::Decoder;
use super::fields::Fields;
use crate::code::Code;
use crate::findings::{Finding, Mark};
use crate::place::Place;
use crate::tree::{Node, Value};

const FOR_EACH: &[&str] = &["items", "as", "concurrency", "tolerate", "until", "collect", "batch"];
const LOOP: &[&str] = &["while", "until", "delay", "backoffCoefficient", "maxDelay", "max", "keep", "output"];

impl Decoder<'_, '_> {
    pub(super) fn for_each(&mut self, fields: &Fields<'_>) -> TaskKind {
        let each = self.optional(fields, "forEach", |decoder, node, place| {
            let fields = decoder.fields(node, place, "a `forEach`", FOR_EACH)?;
            Some(ForEach {
                items: decoder.required(&fields, "items", Self::json).unwrap_or_default(),
                name: decoder.optional(&fields, "as", Self::text).unwrap_or_else(|| "item".to_owned()),
                concurrency: decoder.optional(&fields, "concurrency", Self::at_least_one),
                tolerate: decoder.optional(&fields, "tolerate", Self::tolerance).unwrap_or_default(),
                until: decoder.optional(&fields, "until", Self::expression),
                collect: decoder.optional(&fields, "collect", Self::json),
                batch: decoder.optional(&fields, "batch", Self::at_least_one),
            })
        });
        let each = each.unwrap_or_else(|| ForEach {
            items: Json::Null,
            name: "item".to_owned(),
            concurrency: None,
            tolerate: Tolerance::default(),
            until: None,
            collect: None,
            batch: None,
        });
        TaskKind::ForEach(each, self.iterated(fields, "forEach"))
    }

    pub(super) fn repeat(&mut self, fields: &Fields<'_>) -> TaskKind {
        let repeat = self.optional(fields, "loop", |decoder, node, place| {
            let fields = decoder.fields(node, place, "a `loop`", LOOP)?;
            Some(Loop {
                while_: decoder.optional(&fields, "while", Self::expression),
                until: decoder.optional(&fields, "until", Self::expression),
                delay: decoder.optional(&fields, "delay", Self::span),
                backoff_coefficient: decoder
                    .optional(&fields, "backoffCoefficient", Self::number)
                    .unwrap_or(1.0),
                max_delay: decoder.optional(&fields, "maxDelay", Self::span),
                max: decoder.optional(&fields, "max", Self::at_least_one).unwrap_or(DEFAULT_MAX),
                keep: decoder.optional(&fields, "keep", Self::at_least_one).unwrap_or(DEFAULT_KEEP),
                output: decoder.optional(&fields, "output", Self::json),
            })
        });
        let repeat = repeat.unwrap_or(Loop {
            while_: None,
            until: None,
            delay: None,
            backoff_coefficient: 1.0,
            max_delay: None,
            max: DEFAULT_MAX,
            keep: DEFAULT_KEEP,
            output: None,
        });
        TaskKind::Loop(repeat, self.iterated(fields, "loop"))
    }

    /// The steps beside a `forEach` or `loop`.
    fn iterated(&mut self, fields: &Fields<'_>, kind: &'static str) -> Vec<Task> {
        if !fields.has("tasks") {
            let message = format!("a step with `{kind}` needs `tasks` beside it: what each iteration does");
            let place = fields.place.key(kind);
            let finding = Finding::new(Code::MissingField, &place, message).mark(Mark::Key);
            self.findings.push(finding.help("Add `tasks: [{id: greet, task: greeting.say}]` to the step."));
            self.findings.hole(&fields.place.key("tasks"));
        }
        self.optional(fields, "tasks", Self::tasks).unwrap_or_default()
    }

    /// A number, or a share such as `10%`.
    fn tolerance(&mut self, node: &Node, place: &Place) -> Option<Tolerance> {
        let wanted = "how many iterations may fail: a number, or a share such as `10%`";
        match &node.value {
            Value::Number(_) => self.count(node, place).map(Tolerance::Count),
            Value::Text { text, .. } => match Tolerance::try_from(Json::from(text.as_str())) {
                Ok(tolerance) => Some(tolerance),
                Err(_) => {
                    let message = format!("expected {wanted}, found `{text}`");
                    let finding = Finding::new(Code::InvalidNumber, place, message);
                    self.findings.push(
                        finding.help("A share is a whole number from 0 to 100 and `%`: `tolerate: 10%`."),
                    );
                    None
                }
            },
            _ => self.wrong_type(node, place, wanted),
        }
    }

    pub(super) fn child_workflow(&mut self, fields: &Fields<'_>) -> TaskKind {
        let child = self.optional(fields, "workflow", |decoder, node, place| {
            let fields = decoder.fields(node, place, "a `workflow` step", &["id", "version", "wait"])?;
            Some(ChildWorkflow {
                id: decoder.required(&fields, "id", Self::text).unwrap_or_default(),
                version: decoder.optional(&fields, "version", Self::version),
                wait: decoder
                    .optional(&fields, "wait", |decoder, node, place| {
                        let wait = decoder.boolean(node, place);
                        decoder.findings.advise(place, || "Write, for example, `wait: false`.".to_owned());
                        wait
                    })
                    .unwrap_or(true),
            })
        });
        let stand_in = || ChildWorkflow { id: String::new(), version: None, wait: true };
        TaskKind::Workflow(child.unwrap_or_else(stand_in))
    }

    pub(super) fn join(&mut self, node: &Node, place: &Place) -> Option<Join> {
        let fields = self.fields(node, place, "a `join`", &["need", "cancelRest"])?;
        let need = self.required(&fields, "need", Self::at_least_one);
        let cancel_rest = self.optional(&fields, "cancelRest", Self::boolean).unwrap_or(false);
        Some(Join { need: need.unwrap_or(1), cancel_rest })
    }

    pub(super) fn compensation(&mut self, node: &Node, place: &Place) -> Option<Compensation> {
        let known = ["task", "when", "inputMappings", "retryPolicy", "timeouts"];
        let fields = self.fields(node, place, "a `compensateWith`", &known)?;
        Some(Compensation {
            task: self.required(&fields, "task", Self::text).unwrap_or_default(),
            when: self
                .optional(&fields, "when", |decoder, node, place| {
                    let when = decoder.choice(node, place, &["COMPLETED", "ATTEMPTED"]);
                    decoder.findings.advise(place, || "Write, for example, `when: ATTEMPTED`.".to_owned());
                    when
                })
                .unwrap_or_default(),
            input_mappings: self.optional(&fields, "inputMappings", Self::json_map).unwrap_or_default(),
            retry_policy: self.optional(&fields, "retryPolicy", Self::retry_policy),
            timeouts: self.optional(&fields, "timeouts", Self::task_timeouts).unwrap_or_default(),
        })
    }
}

/// How often a loop goes round at most where it does not say; as in the stored form.
const DEFAULT_MAX: u32 = 1000;
/// How many iterations a loop keeps where it does not say; as in the stored form.
const DEFAULT_KEEP: u32 = 10;

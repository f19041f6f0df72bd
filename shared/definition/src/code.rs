//! The kinds of problems: one table of stable codes, what each means and how grave it is.
//!
//! Programs match on the codes, docs/definitions.md lists them, and the corpus test asks that each one really occurs.

use serde::Serialize;

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is accepted, and likely not what was meant.
    Warning,
}

/// Makes the enum, the list of all codes and their texts from one table.
macro_rules! codes {
    ($($name:ident $text:literal $severity:ident $meaning:literal,)*) => {
        /// What kind of problem a diagnostic tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is told in `meaning`")]
        pub enum Code { $($name,)* }

        impl Code {
            /// Every code, in the order of the documented table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable text of the code, in kebab-case.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// How grave it is.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }

            /// One sentence for the documented table.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    // The text as YAML or JSON.
    Syntax "syntax" Error "The text is not well-formed YAML or JSON.",
    EmptyFile "empty-file" Error "There is nothing in the file.",
    TooLarge "too-large" Error "The definition is larger, has more steps or is nested deeper than one may be.",
    SeveralDocuments "several-documents" Error "The file holds more than one YAML document.",
    TabIndentation "tab-indentation" Error "A line is indented with a tab, which YAML forbids.",
    Anchor "anchor" Error "A YAML anchor `&name` or alias `*name`: definitions have none.",
    MergeKey "merge-key" Error "A YAML merge key `<<`: definitions have none.",
    Tag "tag" Error "An unquoted `!` makes a YAML tag, and the value is lost.",
    DuplicateKey "duplicate-key" Error "The same key is written twice in one mapping.",
    InvalidKey "invalid-key" Error "A key is not a text.",
    AmbiguousBoolean "ambiguous-boolean" Error "`yes`, `no`, `on` or `off` without quotes: a boolean to some, a text to others.",
    LeadingZero "leading-zero" Error "A number begins with a zero: `007`.",
    InvalidNumber "invalid-number" Error "A number that JSON cannot carry, or outside the range of its field.",
    ColonInValue "colon-in-value" Error "A value without quotes holds `: `, which begins a mapping in YAML.",
    FlowExpression "flow-expression" Error "`${ }` without quotes inside `{ }` or `[ ]`: the braces clash.",
    CutExpression "cut-expression" Error "YAML read the rest of a value as a comment, because of a ` #` in it.",
    // The fields and their types.
    UnknownField "unknown-field" Error "A field that does not exist here.",
    MissingField "missing-field" Error "A required field is absent.",
    WrongType "wrong-type" Error "A value of another type than the field takes.",
    NullValue "null-value" Error "A field is written without a value.",
    InvalidChoice "invalid-choice" Error "A word that is not among those the field takes.",
    InvalidDuration "invalid-duration" Error "A length of time without a unit, or with a wrong one.",
    InvalidTime "invalid-time" Error "A point in time that is neither RFC 3339 nor one `${ expression }`.",
    NoKind "no-kind" Error "A step does not say what it does.",
    SeveralKinds "several-kinds" Error "A step says twice what it does.",
    // Names and structure.
    InvalidName "invalid-name" Error "An id, variable, task or queue is spelled with characters it may not have.",
    ReservedName "reserved-name" Error "The id of a step, or the name of an item, that expressions use for something else.",
    ShadowedName "shadowed-name" Error "A variable of a group, or the name of an item, that means something else around it.",
    DuplicateId "duplicate-id" Error "Two steps of the workflow have the same id.",
    DuplicateTaskDefinition "duplicate-task-definition" Error "Two task definitions have the same id.",
    EmptyList "empty-list" Error "A group, switch, case or handler without steps.",
    InvalidCase "invalid-case" Error "A case of a switch without, or with too much, to decide by.",
    InvalidWait "invalid-wait" Error "A `wait` for nothing, or for several things outside `first`.",
    MisplacedField "misplaced-field" Error "A field that this kind of step does not have.",
    ConflictingFields "conflicting-fields" Error "Two fields that contradict each other.",
    InvalidSchema "invalid-schema" Error "A JSON Schema that is none, refers to something outside itself, or is too large.",
    // Order.
    UnknownDependency "unknown-dependency" Error "`dependsOn` names no step of the same list.",
    SelfDependency "self-dependency" Error "A step waits for itself.",
    DependencyCycle "dependency-cycle" Error "Steps wait for each other in a circle.",
    // Expressions and mappings.
    InvalidExpression "invalid-expression" Error "An expression that cannot be compiled.",
    UnknownName "unknown-name" Error "An expression begins with a name that does not exist.",
    UnknownVariable "unknown-variable" Error "A variable that is neither declared nor written by any step.",
    UnknownInput "unknown-input" Error "A property that the input's schema rules out.",
    UnknownTask "unknown-task" Error "An expression names a step that does not exist.",
    UnknownProperty "unknown-property" Error "A part that a task, an error or the workflow does not have.",
    NotFinished "not-finished" Error "An expression reads a step that cannot have finished by then.",
    OutOfScope "out-of-scope" Error "A name that exists, but not at this place.",
    InvalidPath "invalid-path" Error "The `source` of a mapping is not a path.",
    InvalidTransformation "invalid-transformation" Error "A transformation that does not exist or is given a wrong argument.",
    // Policies.
    SenselessPolicy "senseless-policy" Error "Times, counts or codes that contradict each other or can never work.",
    // Warnings.
    UselessPolicy "useless-policy" Warning "A setting that has no effect, or a harmful one, beside the others.",
    UnusedTaskDefinition "unused-task-definition" Warning "A task definition that no step uses.",
    RepeatedTarget "repeated-target" Warning "Two mappings of one step write the same variable.",
    ConstantCondition "constant-condition" Warning "A condition that is always true or always false.",
    NeverReached "never-reached" Warning "A step after one that always ends the run.",
    TooManyProblems "too-many-problems" Warning "More problems than are worth listing at once.",
}

//! The tree of a compiled expression: built by the parser, walked by the evaluator.

use std::ops::Range;

use serde_json::Value as Json;

use crate::functions::Function;
use crate::macros::Macro;
use crate::pattern::Pattern;

/// A free name an expression refers to, with the members that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `tasks.charge.output.id` as its segments; it stops at a computed index or a call.
    pub path: Vec<String>,
    /// Where it stands, in bytes of the source text as it was given.
    pub range: Range<usize>,
}

/// One node with its place in the source.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    /// The levels of this subtree: at least 1.
    pub(crate) depth: usize,
}

/// What a node does.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Json),
    /// The index of one of the expression's references.
    Reference(usize),
    /// A macro variable, counted outwards from the innermost.
    Local(usize),
    Member(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `a && b && …`.
    Every(Vec<Node>),
    /// `a || b || …`.
    Any(Vec<Node>),
    Binary(Operator, Box<(Node, Node)>),
    Conditional(Box<(Node, Node, Node)>),
    Call(&'static Function, Vec<Node>),
    /// `matches` with a pattern known in advance.
    Matches(Box<Node>, Pattern),
    Has(Box<Node>),
    /// `get(holder, key, default)`.
    Get(Box<(Node, Node, Node)>),
    /// A macro over a list or a map's keys; its bodies see one more local.
    Each(Macro, Box<Node>, Vec<Node>),
}

/// The operators that always evaluate both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Operator {
    /// The operator as it is written.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

impl Node {
    /// A node over its children, one level deeper than the deepest.
    pub(crate) fn new(kind: Kind, range: Range<usize>) -> Self {
        let depth = 1 + kind.children().iter().map(|child| child.depth).max().unwrap_or(0);
        Self { kind, range, depth }
    }
}

impl Kind {
    fn children(&self) -> Vec<&Node> {
        match self {
            Self::Literal(_) | Self::Reference(_) | Self::Local(_) => Vec::new(),
            Self::Member(node, _)
            | Self::Not(node)
            | Self::Negate(node)
            | Self::Matches(node, _)
            | Self::Has(node) => vec![node],
            Self::Index(a, b) => vec![a, b],
            Self::List(nodes) | Self::Every(nodes) | Self::Any(nodes) | Self::Call(_, nodes) => {
                nodes.iter().collect()
            }
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Binary(_, nodes) => vec![&nodes.0, &nodes.1],
            Self::Conditional(nodes) | Self::Get(nodes) => vec![&nodes.0, &nodes.1, &nodes.2],
            Self::Each(_, over, bodies) => std::iter::once(&**over).chain(bodies).collect(),
        }
    }
}

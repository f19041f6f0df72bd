//! A Pratt parser for CEL's syntax; used by `Expression` and by templates.
//!
//! Nesting, nodes and source are bounded, so no text can exhaust the stack or the memory of whoever compiles it.

use std::ops::Range;

use serde_json::Value as Json;

use crate::ast::{Kind, Node, Operator, Reference};
use crate::calls;
use crate::cursor::Cursor;
use crate::error::CompileError;
use crate::lexer::{Lexeme, Token};
use crate::macros::Macro;

/// The most nodes of one expression: beyond, it is a program and belongs into a task.
pub const MOST_NODES: usize = 500;
/// The deepest nesting, of brackets as of operators: parser and evaluator recurse this deep at most.
pub const DEEPEST_NESTING: usize = 64;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) root: Node,
    pub(crate) references: Vec<Reference>,
}

/// Parses lexemes that end with an end.
pub(crate) fn parse(lexemes: Vec<Lexeme<'_>>) -> Result<Parsed, CompileError> {
    let mut parser = Parser {
        cursor: Cursor::new(lexemes),
        references: Vec::new(),
        locals: Vec::new(),
        nodes: 0,
        nesting: 0,
    };
    if *parser.cursor.peek() == Token::End {
        return Err(CompileError::new("there is no expression here", parser.cursor.here())
            .help("write a value, a name or a condition, such as variables.total > 0"));
    }
    let root = parser.conditional()?;
    if *parser.cursor.peek() != Token::End {
        return Err(parser.leftover());
    }
    Ok(Parsed { root, references: parser.references })
}

struct Parser<'s> {
    cursor: Cursor<'s>,
    references: Vec<Reference>,
    /// The macro variables in sight, outermost first.
    locals: Vec<&'s str>,
    nodes: usize,
    nesting: usize,
}

impl<'s> Parser<'s> {
    /// `condition ? a : b`, or what binds tighter.
    fn conditional(&mut self) -> Result<Node, CompileError> {
        self.nested(|parser| {
            let condition = parser.infix(0)?;
            if !parser.cursor.accept("?") {
                return Ok(condition);
            }
            let then = parser.conditional()?;
            parser.cursor.expect(":", "a ? needs its : (condition ? a : b)")?;
            let otherwise = parser.conditional()?;
            let range = condition.range.start..otherwise.range.end;
            parser.node(Kind::Conditional(Box::new((condition, then, otherwise))), range)
        })
    }

    /// Operators that bind at least as tight as `least`, all of them left to right.
    fn infix(&mut self, least: u8) -> Result<Node, CompileError> {
        let mut left = self.prefix()?;
        while let Some((infix, power)) = infix_of(self.cursor.peek())
            && power >= least
        {
            self.cursor.advance();
            let right = self.infix(power + 1)?;
            left = self.join(left, infix, right)?;
        }
        Ok(left)
    }

    fn join(&mut self, left: Node, infix: Infix, right: Node) -> Result<Node, CompileError> {
        let range = left.range.start..right.range.end;
        let kind = match (infix, left) {
            // Chains stay flat: a condition of many parts is not deep.
            (Infix::And, Node { kind: Kind::Every(mut parts), .. }) => {
                parts.push(right);
                Kind::Every(parts)
            }
            (Infix::Or, Node { kind: Kind::Any(mut parts), .. }) => {
                parts.push(right);
                Kind::Any(parts)
            }
            (Infix::And, left) => Kind::Every(vec![left, right]),
            (Infix::Or, left) => Kind::Any(vec![left, right]),
            (Infix::Binary(operator), left) => Kind::Binary(operator, Box::new((left, right))),
        };
        self.node(kind, range)
    }

    fn prefix(&mut self) -> Result<Node, CompileError> {
        let start = self.cursor.here().start;
        let kind = if self.cursor.accept("!") {
            Kind::Not(Box::new(self.nested(Self::prefix)?))
        } else if self.cursor.accept("-") {
            Kind::Negate(Box::new(self.nested(Self::prefix)?))
        } else {
            return self.postfix();
        };
        self.node(kind, start..self.cursor.last_end())
    }

    fn postfix(&mut self) -> Result<Node, CompileError> {
        let mut node = self.primary()?;
        loop {
            if self.cursor.accept(".") {
                node = self.dotted(node)?;
            } else if self.cursor.accept("[") {
                let index = self.conditional()?;
                self.cursor.expect("]", "an index ends with ]")?;
                node = self.indexed(node, index)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn dotted(&mut self, holder: Node) -> Result<Node, CompileError> {
        let range = self.cursor.here();
        let Token::Name(name) = *self.cursor.peek() else {
            return Err(CompileError::new(
                format!("a name must follow the '.', not {}", self.cursor.peek().describe()),
                range,
            )
            .help("a key that is no name is written in brackets: map[\"odd key\"]"));
        };
        self.cursor.advance();
        if *self.cursor.peek() != Token::Symbol("(") {
            return self.member(holder, name);
        }
        if let Some(kind) = Macro::named(name) {
            return self.each(kind, holder);
        }
        let start = holder.range.start;
        let mut arguments = vec![holder];
        self.arguments(&mut arguments)?;
        let kind = calls::method(name, range, arguments)?;
        self.node(kind, start..self.cursor.last_end())
    }

    fn member(&mut self, holder: Node, name: &str) -> Result<Node, CompileError> {
        let range = holder.range.start..self.cursor.last_end();
        match holder.kind {
            Kind::Reference(index) => {
                if let Some(reference) = self.references.get_mut(index) {
                    reference.path.push(name.to_owned());
                    reference.range = range.clone();
                }
                Ok(Node { range, ..holder })
            }
            _ => self.node(Kind::Member(Box::new(holder), name.to_owned()), range),
        }
    }

    /// A literal text as index is a member with an odd name; anything else is computed.
    fn indexed(&mut self, holder: Node, index: Node) -> Result<Node, CompileError> {
        if let Kind::Literal(Json::String(name)) = &index.kind {
            return self.member(holder, name);
        }
        let range = holder.range.start..self.cursor.last_end();
        self.node(Kind::Index(Box::new(holder), Box::new(index)), range)
    }

    /// `.map(variable, body)` and its like, after the name.
    fn each(&mut self, kind: Macro, over: Node) -> Result<Node, CompileError> {
        self.cursor.advance();
        let range = self.cursor.here();
        let Token::Name(variable) = *self.cursor.peek() else {
            return Err(CompileError::new(format!("{} names its variable first", kind.name()), range)
                .help(format!("write {}", kind.form())));
        };
        self.cursor.advance();
        self.cursor.expect(",", &format!("write {}", kind.form()))?;
        self.locals.push(variable);
        let bodies = self.bodies();
        self.locals.pop();
        let bodies = bodies?;
        if !kind.bodies().contains(&bodies.len()) {
            return Err(CompileError::new(
                format!("{} has the wrong number of parts", kind.name()),
                range.start..self.cursor.last_end(),
            )
            .help(format!("write {}", kind.form())));
        }
        let start = over.range.start;
        self.node(Kind::Each(kind, Box::new(over), bodies), start..self.cursor.last_end())
    }

    fn bodies(&mut self) -> Result<Vec<Node>, CompileError> {
        let mut bodies = vec![self.conditional()?];
        while self.cursor.accept(",") {
            bodies.push(self.conditional()?);
        }
        self.cursor.expect(")", "the macro's parts end with )")?;
        Ok(bodies)
    }

    fn primary(&mut self) -> Result<Node, CompileError> {
        let range = self.cursor.here();
        let token = self.cursor.peek().clone();
        self.cursor.advance();
        let literal = match token {
            Token::Name("true") => Json::Bool(true),
            Token::Name("false") => Json::Bool(false),
            Token::Name("null") => Json::Null,
            Token::Name(name) if name != "in" => return self.name(name, range),
            Token::Text(text) => Json::String(text),
            Token::Integer(value) => Json::from(value),
            Token::Float(value) => Json::from(value),
            Token::Symbol("(") => {
                let inner = self.conditional()?;
                self.cursor.expect(")", "a ( needs its )")?;
                return Ok(inner);
            }
            Token::Symbol("[") => return self.list(range.start),
            Token::Symbol("{") => return self.map(range.start),
            other => {
                return Err(CompileError::new(
                    format!("a value must stand here, not {}", other.describe()),
                    range,
                ));
            }
        };
        self.node(Kind::Literal(literal), range)
    }

    fn name(&mut self, name: &'s str, range: Range<usize>) -> Result<Node, CompileError> {
        if *self.cursor.peek() == Token::Symbol("(") {
            let mut arguments = Vec::new();
            self.arguments(&mut arguments)?;
            let kind = calls::function(name, range.clone(), arguments)?;
            return self.node(kind, range.start..self.cursor.last_end());
        }
        if let Some(distance) = self.locals.iter().rev().position(|local| *local == name) {
            return self.node(Kind::Local(distance), range);
        }
        self.references.push(Reference { path: vec![name.to_owned()], range: range.clone() });
        self.node(Kind::Reference(self.references.len() - 1), range)
    }

    fn list(&mut self, start: usize) -> Result<Node, CompileError> {
        let mut items = Vec::new();
        while !self.cursor.accept("]") {
            items.push(self.conditional()?);
            if !self.cursor.accept(",") {
                self.cursor.expect("]", "a list's items are parted by , and end with ]")?;
                break;
            }
        }
        self.node(Kind::List(items), start..self.cursor.last_end())
    }

    fn map(&mut self, start: usize) -> Result<Node, CompileError> {
        let mut entries = Vec::new();
        while !self.cursor.accept("}") {
            let key = self.key()?;
            self.cursor.expect(":", "a map is written {\"key\": value}")?;
            entries.push((key, self.conditional()?));
            if !self.cursor.accept(",") {
                self.cursor.expect("}", "a map's entries are parted by , and end with }")?;
                break;
            }
        }
        self.node(Kind::Map(entries), start..self.cursor.last_end())
    }

    fn key(&mut self) -> Result<Node, CompileError> {
        let key = self.conditional()?;
        match &key.kind {
            Kind::Reference(index)
                if self.references.get(*index).is_some_and(|found| found.path.len() == 1) =>
            {
                let name = self.references.get(*index).map_or("", |found| found.path[0].as_str());
                Err(CompileError::new(format!("the key '{name}' is not quoted"), key.range.clone())
                    .help(format!("write \"{name}\", or string({name}) for the value of that name")))
            }
            _ => Ok(key),
        }
    }

    /// A call's arguments with their brackets.
    fn arguments(&mut self, arguments: &mut Vec<Node>) -> Result<(), CompileError> {
        self.cursor.advance();
        while !self.cursor.accept(")") {
            arguments.push(self.conditional()?);
            if !self.cursor.accept(",") {
                return self.cursor.expect(")", "a call's arguments are parted by , and end with )");
            }
        }
        Ok(())
    }

    fn node(&mut self, kind: Kind, range: Range<usize>) -> Result<Node, CompileError> {
        self.nodes += 1;
        let node = Node::new(kind, range);
        if self.nodes > MOST_NODES {
            return Err(CompileError::new(
                format!("an expression has at most {MOST_NODES} parts"),
                node.range,
            )
            .help("do the work in a task, or split it over several variables"));
        }
        if node.depth > DEEPEST_NESTING {
            return Err(too_deep(node.range));
        }
        Ok(node)
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        if self.nesting >= DEEPEST_NESTING {
            return Err(too_deep(self.cursor.here()));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn leftover(&self) -> CompileError {
        let message = format!("the expression ends before {}", self.cursor.peek().describe());
        let error = CompileError::new(message, self.cursor.here());
        let Token::Name(word) = self.cursor.peek() else { return error };
        let follows_not = self.references.last().is_some_and(|last| last.path == ["not"]);
        match word.to_ascii_lowercase().as_str() {
            _ if follows_not => error.help("write ! for not, as in !(x in list)"),
            "and" => error.help("write && for and"),
            "or" => error.help("write || for or"),
            "not" => error.help("write ! for not, as in !(x in list)"),
            "is" => error.help("compare with =="),
            _ => error.help("put quotes around text, or an operator between the two"),
        }
    }
}

fn too_deep(range: Range<usize>) -> CompileError {
    CompileError::new(format!("an expression nests at most {DEEPEST_NESTING} levels deep"), range)
        .help("join many texts with join([a, b, …]), or split the expression over several variables")
}

/// What stands between two values.
#[derive(Clone, Copy)]
enum Infix {
    And,
    Or,
    Binary(Operator),
}

/// The infix operator a token is, and how tight it binds.
fn infix_of(token: &Token<'_>) -> Option<(Infix, u8)> {
    let sign = match token {
        Token::Symbol(sign) => *sign,
        Token::Name("in") => "in",
        _ => return None,
    };
    Some(match sign {
        "||" => (Infix::Or, 0),
        "&&" => (Infix::And, 1),
        "==" => (Infix::Binary(Operator::Equal), 2),
        "!=" => (Infix::Binary(Operator::NotEqual), 2),
        "<" => (Infix::Binary(Operator::Less), 2),
        "<=" => (Infix::Binary(Operator::LessOrEqual), 2),
        ">" => (Infix::Binary(Operator::Greater), 2),
        ">=" => (Infix::Binary(Operator::GreaterOrEqual), 2),
        "in" => (Infix::Binary(Operator::In), 2),
        "+" => (Infix::Binary(Operator::Add), 3),
        "-" => (Infix::Binary(Operator::Subtract), 3),
        "*" => (Infix::Binary(Operator::Multiply), 4),
        "/" => (Infix::Binary(Operator::Divide), 4),
        "%" => (Infix::Binary(Operator::Remainder), 4),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

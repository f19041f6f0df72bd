//! The parser's place among the lexemes; past the last one there is only the end.

use std::ops::Range;

use crate::error::CompileError;
use crate::lexer::{Lexeme, Token};

/// A place among lexemes, of which the last is the end.
pub(crate) struct Cursor<'s> {
    lexemes: Vec<Lexeme<'s>>,
    position: usize,
}

impl<'s> Cursor<'s> {
    pub(crate) fn new(lexemes: Vec<Lexeme<'s>>) -> Self {
        Self { lexemes, position: 0 }
    }

    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }

    pub(crate) fn peek(&self) -> &Token<'s> {
        self.lexemes.get(self.position).map_or(&Token::End, |lexeme| &lexeme.token)
    }

    /// The range of the next lexeme; at the end an empty one.
    pub(crate) fn here(&self) -> Range<usize> {
        let last = self.lexemes.last().map_or(0..0, |lexeme| lexeme.range.clone());
        self.lexemes.get(self.position).map_or(last, |lexeme| lexeme.range.clone())
    }

    pub(crate) fn last_end(&self) -> usize {
        self.lexemes.get(self.position.wrapping_sub(1)).map_or(0, |lexeme| lexeme.range.end)
    }

    pub(crate) fn accept(&mut self, symbol: &'static str) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        self.position += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, symbol: &'static str, help: &str) -> Result<(), CompileError> {
        if self.accept(symbol) {
            return Ok(());
        }
        let message = format!("'{symbol}' must stand here, not {}", self.peek().describe());
        Err(CompileError::new(message, self.here()).help(help))
    }
}

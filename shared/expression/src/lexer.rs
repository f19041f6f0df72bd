//! Cuts an expression into lexemes with byte ranges; used by the expression parser, the path parser and templates.
//!
//! It finds the end of a `${ … }` by lexing, so braces inside texts and maps do not end it. It never looks further
//! than the longest expression allowed.

use std::ops::Range;

use crate::error::CompileError;
use crate::literal;

/// The longest expression in bytes: longer ones belong into a task, and compile time stays bounded.
pub const LONGEST_SOURCE_BYTES: usize = 4096;

/// One lexeme's meaning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'s> {
    Name(&'s str),
    Text(String),
    Integer(u64),
    Float(f64),
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    /// The token as messages name it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Token::Name(name) => format!("'{name}'"),
            Token::Text(_) => "a text".to_owned(),
            Token::Integer(_) | Token::Float(_) => "a number".to_owned(),
            Token::Symbol(symbol) => format!("'{symbol}'"),
            Token::End => "the end".to_owned(),
        }
    }
}

/// One lexeme and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme<'s> {
    pub(crate) token: Token<'s>,
    pub(crate) range: Range<usize>,
}

/// The symbols, longer ones before their beginnings.
const SYMBOLS: [&str; 26] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}", "=", "&",
];

/// What YAML does to an unquoted `${`: said wherever an end is missing.
pub(crate) const YAML_HELP: &str =
    "outside quotes YAML ends a value at ' #' and splits it at ': '; put the whole value in quotes";

/// Lexes `range` of `source`; the last lexeme is the end.
pub(crate) fn all(source: &str, range: Range<usize>) -> Result<Vec<Lexeme<'_>>, CompileError> {
    if range.len() > LONGEST_SOURCE_BYTES {
        return Err(too_long(range));
    }
    let mut lexer = Lexer { source, position: range.start, end: range.end };
    let mut lexemes = Vec::new();
    loop {
        let lexeme = lexer.next()?;
        let is_last = lexeme.token == Token::End;
        lexemes.push(lexeme);
        if is_last {
            return Ok(lexemes);
        }
    }
}

/// Lexes what follows the `${` at `open` up to its `}`; gives the lexemes and the position after the brace.
pub(crate) fn wrapped(source: &str, open: usize) -> Result<(Vec<Lexeme<'_>>, usize), CompileError> {
    let start = open + 2;
    let mut lexer = Lexer { source, position: start, end: source.len() };
    let mut lexemes = Vec::new();
    let mut depth = 0_usize;
    loop {
        let mut lexeme = lexer.next().map_err(|error| match error.help {
            Some(_) => error,
            None => error.help(YAML_HELP),
        })?;
        if lexeme.range.end - start > LONGEST_SOURCE_BYTES {
            return Err(too_long(open..open + 2));
        }
        match lexeme.token {
            Token::Symbol("{") => depth += 1,
            Token::Symbol("}") if depth > 0 => depth -= 1,
            Token::Symbol("}") => {
                let after = lexeme.range.end;
                lexeme.token = Token::End;
                lexemes.push(lexeme);
                return Ok((lexemes, after));
            }
            Token::End => {
                return Err(
                    CompileError::new("this '${' is never closed by a '}'", open..open + 2).help(YAML_HELP)
                );
            }
            _ => {}
        }
        lexemes.push(lexeme);
    }
}

fn too_long(range: Range<usize>) -> CompileError {
    CompileError::new(format!("an expression is at most {LONGEST_SOURCE_BYTES} bytes long"), range)
        .help("do the work in a task, or split it over several variables")
}

struct Lexer<'s> {
    source: &'s str,
    position: usize,
    end: usize,
}

impl<'s> Lexer<'s> {
    fn next(&mut self) -> Result<Lexeme<'s>, CompileError> {
        self.skip(|character| character.is_whitespace());
        let start = self.position;
        let token = match self.rest().chars().next() {
            None => Token::End,
            Some('0'..='9') => self.number()?,
            Some('"' | '\'') => self.text(false)?,
            Some('r' | 'R') if self.rest()[1..].starts_with(['"', '\'']) => {
                self.position += 1;
                self.text(true)?
            }
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                self.skip(|character| character.is_ascii_alphanumeric() || character == '_');
                Token::Name(&self.source[start..self.position])
            }
            Some(first) => self.symbol(first)?,
        };
        Ok(Lexeme { token, range: start..self.position })
    }

    fn rest(&self) -> &'s str {
        &self.source[self.position..self.end]
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        self.position += self.rest().len() - self.rest().trim_start_matches(wanted).len();
    }

    fn number(&mut self) -> Result<Token<'s>, CompileError> {
        let (token, length) = literal::number(self.rest())
            .map_err(|(message, length)| CompileError::new(message, self.position..self.position + length))?;
        self.position += length;
        Ok(token)
    }

    fn text(&mut self, raw: bool) -> Result<Token<'s>, CompileError> {
        let start = self.position;
        let (text, length) = literal::text(self.rest(), raw)
            .map_err(|(message, range)| CompileError::new(message, start + range.start..start + range.end))?;
        self.position += length;
        Ok(Token::Text(text))
    }

    fn symbol(&mut self, first: char) -> Result<Token<'s>, CompileError> {
        let range = self.position..self.position + first.len_utf8();
        let found = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
        match found.copied() {
            Some("=") => Err(CompileError::new("'=' is no operator", range).help("compare with ==")),
            Some("&") => Err(CompileError::new("'&' is no operator", range).help("write && for and")),
            Some(symbol) => {
                self.position += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => Err(unexpected(first, range)),
        }
    }
}

fn unexpected(character: char, range: Range<usize>) -> CompileError {
    let error = CompileError::new(format!("'{}' has no meaning here", character.escape_debug()), range);
    match character {
        '|' => error.help("write || for or; functions are called as f(x) or x.f()"),
        '$' => error.help("write one ${ … } around the whole expression, with bare names inside"),
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => error.help("use straight quotes: \" or '"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Vec<Token<'_>> {
        all(source, 0..source.len()).unwrap().into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn longer_symbols_win_and_ranges_are_bytes() {
        assert_eq!(tokens(""), [Token::End]);
        assert_eq!(
            tokens("a<=b&&!c"),
            [
                Token::Name("a"),
                Token::Symbol("<="),
                Token::Name("b"),
                Token::Symbol("&&"),
                Token::Symbol("!"),
                Token::Name("c"),
                Token::End
            ]
        );
        let lexemes = all("'ä' + b", 0.."'ä' + b".len()).unwrap();
        assert_eq!(lexemes[2].range, 7..8);
    }

    #[test]
    fn the_end_of_an_interpolation_is_lexed_not_searched() {
        let source = r#"x ${ {"}": '}'}["}"] } y }"#;
        let (lexemes, after) = wrapped(source, 2).unwrap();
        assert_eq!(&source[after..], " y }");
        assert_eq!(lexemes.last().unwrap().token, Token::End);
    }

    #[test]
    fn a_missing_end_speaks_of_yaml() {
        for source in ["${ a", "${ 'a }", "${ {1: 2 }"] {
            let error = wrapped(source, 0).unwrap_err();
            assert_eq!(error.help.as_deref(), Some(YAML_HELP), "{source}");
        }
        assert_eq!(wrapped("${ a", 0).unwrap_err().range, 0..2);
    }

    #[test]
    fn a_long_source_is_refused_before_it_is_read() {
        let long = format!("${{ {} }}", "1 + ".repeat(2000));
        assert!(wrapped(&long, 0).unwrap_err().message.contains("4096 bytes"));
        assert!(all(&long, 0..long.len()).unwrap_err().message.contains("4096 bytes"));
    }

    #[test]
    fn foreign_signs_say_what_to_write() {
        let help = |source: &str| all(source, 0..source.len()).unwrap_err().help.unwrap();
        assert!(help("a = b").contains("=="));
        assert!(help("a & b").contains("&&"));
        assert!(help("a | b").contains("||"));
        assert!(help("a + ${ b }").contains("bare names"));
        assert!(help("\u{201c}a\u{201d}").contains("straight quotes"));
    }
}

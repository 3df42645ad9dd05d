//! MaxCompute SQL in tokens.

use super::error::{Position, SqlError};

/// Bytes of one statement; the service's own bound.
pub(crate) const SQL_BYTES_MAX: usize = 2 << 20;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: Position,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A name or keyword without quotes.
    Word(String),
    /// A name in back quotes.
    Quoted(String),
    /// A string, unescaped.
    Text(String),
    /// Digits, perhaps with point, exponent and type suffix.
    Number(String),
    Symbol(&'static str),
    End,
}

/// Longer symbols before those that they begin with.
const SYMBOLS: [&str; 28] = [
    "<=>", "==", "!=", "<>", "<=", ">=", "||", "(", ")", ",", ".", ";", "*", "+", "-", "/", "%",
    "=", "<", ">", "[", "]", ":", "&", "|", "^", "~", "?",
];

/// Cuts `sql` into tokens; the last is [`Kind::End`].
pub(crate) fn tokenize(sql: &str) -> Result<Vec<Token>, SqlError> {
    let mut lexer = Lexer {
        rest: sql,
        at: Position { line: 1, column: 1 },
    };
    if sql.len() > SQL_BYTES_MAX {
        let text = format!(
            "the statement has {} bytes; at most {SQL_BYTES_MAX}",
            sql.len()
        );
        return Err(SqlError::parse(lexer.at, text));
    }
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let at = lexer.at;
        let kind = lexer.token()?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, at });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Lexer<'a> {
    fn token(&mut self) -> Result<Kind, SqlError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Kind::End);
        };
        match first {
            '\'' | '"' => self.text(first).map(Kind::Text),
            '`' => self.quoted().map(Kind::Quoted),
            '0'..='9' => Ok(Kind::Number(self.number())),
            '.' if self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {
                Ok(Kind::Number(self.number()))
            }
            c if is_word(c) || c == '$' || c == '@' => Ok(Kind::Word(
                self.take_while(|c| is_word(c) || c == '$' || c == '@')
                    .to_owned(),
            )),
            other => {
                let symbol = SYMBOLS
                    .into_iter()
                    .find(|symbol| self.rest.starts_with(symbol));
                let symbol = symbol.ok_or_else(|| {
                    SqlError::parse(self.at, format!("invalid character {other:?}"))
                })?;
                self.advance(symbol.len());
                Ok(Kind::Symbol(symbol))
            }
        }
    }

    /// Moves on by `bytes`, which end at a character's border.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        self.advance(end)
    }

    fn skip_blank(&mut self) -> Result<(), SqlError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let at = self.at;
                let end = self.rest.find("*/");
                let end = end.ok_or_else(|| SqlError::parse(at, "the comment has no end"))?;
                self.advance(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn number(&mut self) -> String {
        let mut number = self.take_while(|c| c.is_ascii_digit()).to_owned();
        if self.rest.starts_with('.') {
            number.push_str(self.advance(1));
            number.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        let mut after = self.rest.chars();
        if matches!(after.next(), Some('e' | 'E')) {
            let sign = matches!(after.clone().next(), Some('+' | '-'));
            if after
                .nth(usize::from(sign))
                .is_some_and(|c| c.is_ascii_digit())
            {
                number.push_str(self.advance(1 + usize::from(sign)));
                number.push_str(self.take_while(|c| c.is_ascii_digit()));
            }
        }
        // 1L, 2S, 3Y, 1.5BD
        number.push_str(self.take_while(|c| c.is_ascii_alphabetic()));
        number
    }

    fn quoted(&mut self) -> Result<String, SqlError> {
        let at = self.at;
        self.advance(1);
        let mut name = String::new();
        loop {
            name.push_str(self.take_while(|c| c != '`'));
            if self.rest.is_empty() {
                return Err(SqlError::parse(at, "the quoted name has no end"));
            }
            self.advance(1);
            if !self.rest.starts_with('`') {
                return Ok(name);
            }
            name.push_str(self.advance(1));
        }
    }

    fn text(&mut self, quote: char) -> Result<String, SqlError> {
        let at = self.at;
        let unended = || SqlError::parse(at, "the string has no end");
        self.advance(1);
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            let mut chars = self.rest.chars();
            match (chars.next(), chars.next()) {
                (Some('\\'), Some(escaped)) => {
                    match escaped {
                        'b' => text.push('\u{8}'),
                        't' => text.push('\t'),
                        'n' => text.push('\n'),
                        'r' => text.push('\r'),
                        '0' => text.push('\0'),
                        'Z' => text.push('\u{1a}'),
                        // A LIKE pattern needs its own escapes.
                        '%' | '_' => text.extend(['\\', escaped]),
                        other => text.push(other),
                    }
                    self.advance(1 + escaped.len_utf8());
                }
                (Some('\\') | None, _) => return Err(unended()),
                (Some(_), _) => {
                    self.advance(quote.len_utf8());
                    return Ok(text);
                }
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Tokens one after the other.
#[derive(Debug)]
pub(crate) struct Cursor {
    tokens: Vec<Token>,
    position: usize,
}

impl Cursor {
    pub(crate) fn new(sql: &str) -> Result<Self, SqlError> {
        Ok(Self {
            tokens: tokenize(sql)?,
            position: 0,
        })
    }

    /// The token `ahead` of the current one; the end for ever after the end.
    pub(crate) fn peek(&self, ahead: usize) -> &Kind {
        self.tokens
            .get(self.position + ahead)
            .map_or(&Kind::End, |token| &token.kind)
    }

    /// Where the current token begins.
    pub(crate) fn at(&self) -> Position {
        let token = self.tokens.get(self.position).or(self.tokens.last());
        token.map_or(Position { line: 1, column: 1 }, |token| token.at)
    }

    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }

    /// Whether the token `ahead` is this keyword.
    pub(crate) fn is_word(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.peek(ahead), Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether the current token is this symbol.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(0), Kind::Symbol(found) if *found == symbol)
    }

    /// Takes the keywords if all of them follow.
    pub(crate) fn take_words(&mut self, keywords: &[&str]) -> bool {
        let found = keywords
            .iter()
            .enumerate()
            .all(|(ahead, word)| self.is_word(ahead, word));
        if found {
            self.position += keywords.len();
        }
        found
    }

    pub(crate) fn take_word(&mut self, keyword: &str) -> bool {
        self.take_words(&[keyword])
    }

    pub(crate) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.position += usize::from(found);
        found
    }

    pub(crate) fn expect_word(&mut self, keyword: &str) -> Result<(), SqlError> {
        if self.take_word(keyword) {
            Ok(())
        } else {
            Err(self.unexpected(keyword))
        }
    }

    pub(crate) fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(symbol))
        }
    }

    /// A name, quoted or not.
    pub(crate) fn name(&mut self) -> Result<String, SqlError> {
        match self.peek(0) {
            Kind::Word(name) | Kind::Quoted(name) => {
                let name = name.clone();
                self.position += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, SqlError> {
        match self.peek(0) {
            Kind::Text(text) => {
                let text = text.clone();
                self.position += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("a string")),
        }
    }

    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Result<T, SqlError> {
        match self.peek(0) {
            Kind::Number(digits) => match digits.parse() {
                Ok(number) => {
                    self.position += 1;
                    Ok(number)
                }
                Err(_) => Err(self.unexpected("a whole number")),
            },
            _ => Err(self.unexpected("a number")),
        }
    }

    /// Up to three names with points between them, as tables are named: the last is the table.
    pub(crate) fn table_name(&mut self) -> Result<TableRef, SqlError> {
        let at = self.at();
        let mut parts = vec![self.name()?];
        while self.is_symbol(".") {
            self.advance();
            parts.push(self.name()?);
        }
        let mut parts = parts.into_iter().rev();
        let table = parts.next().unwrap_or_default();
        let (first, second, more) = (parts.next(), parts.next(), parts.next());
        if more.is_some() {
            return Err(SqlError::parse(
                at,
                "a table's name has at most three parts",
            ));
        }
        let (project, schema) = if second.is_some() {
            (second, first)
        } else {
            (first, None)
        };
        Ok(TableRef {
            project,
            schema,
            table,
            at,
        })
    }

    /// Nothing may follow but semicolons.
    pub(crate) fn expect_end(&mut self) -> Result<(), SqlError> {
        while self.take_symbol(";") {}
        if *self.peek(0) == Kind::End {
            Ok(())
        } else {
            Err(self.unexpected("the end"))
        }
    }

    /// The error that says what was found in place of `expected`.
    pub(crate) fn unexpected(&self, expected: &str) -> SqlError {
        let found = match self.peek(0) {
            Kind::Word(word) | Kind::Number(word) => format!("'{word}'"),
            Kind::Quoted(name) => format!("'`{name}`'"),
            Kind::Text(text) => format!("string {text:?}"),
            Kind::Symbol(symbol) => format!("'{symbol}'"),
            Kind::End => "'<EOF>'".to_owned(),
        };
        SqlError::parse(
            self.at(),
            format!("invalid token {found}, expect {expected}"),
        )
    }
}

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableRef {
    pub(crate) project: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
    pub(crate) at: Position,
}

//! Reads queries.

use engine_model::ColumnType;

use super::ast::{Call, Expr, ExprKind, From, Item, Join, Order, Over, Query, Select, Source};
use super::error::{Position, SqlError};
use super::tokens::{Cursor, Kind};

/// How deep expressions and queries may nest: parsing and translation are recursive.
const DEPTH_MAX: usize = 100;

/// Words that end what stands before them, so they are no aliases.
const RESERVED: [&str; 27] = [
    "from", "where", "group", "having", "order", "limit", "offset", "union", "join", "inner",
    "left", "right", "full", "cross", "on", "as", "and", "or", "not", "when", "then", "else",
    "end", "asc", "desc", "lateral", "using",
];

/// Reads one query up to its end.
pub(crate) fn query(cursor: &mut Cursor) -> Result<Query, SqlError> {
    let mut parser = Parser { cursor, depth: 0 };
    let query = parser.query()?;
    parser.cursor.expect_end()?;
    Ok(query)
}

struct Parser<'a> {
    cursor: &'a mut Cursor,
    depth: usize,
}

impl Parser<'_> {
    /// Runs `inner` one level down.
    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.depth >= DEPTH_MAX {
            let text = format!("more than {DEPTH_MAX} levels of nesting");
            return Err(SqlError::parse(self.cursor.at(), text));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn query(&mut self) -> Result<Query, SqlError> {
        self.nested(Self::query_body)
    }

    fn query_body(&mut self) -> Result<Query, SqlError> {
        let mut with = Vec::new();
        if self.cursor.take_word("with") {
            loop {
                let name = self.cursor.name()?;
                self.cursor.expect_word("as")?;
                self.cursor.expect_symbol("(")?;
                with.push((name, self.query()?));
                self.cursor.expect_symbol(")")?;
                if !self.cursor.take_symbol(",") {
                    break;
                }
            }
        }
        let mut selects = vec![self.select()?];
        let mut union_all = true;
        while self.cursor.take_word("union") {
            let all = self.cursor.take_word("all");
            if selects.len() > 1 && all != union_all {
                let text = "UNION and UNION ALL in one query need parentheses";
                return Err(SqlError::parse(self.cursor.at(), text));
            }
            union_all = all;
            selects.push(self.select()?);
        }
        let mut order_by = Vec::new();
        if self.cursor.take_words(&["order", "by"]) {
            order_by = self.orders()?;
        }
        let (limit, offset) = self.limit()?;
        Ok(Query {
            with,
            selects,
            union_all,
            order_by,
            limit,
            offset,
        })
    }

    fn limit(&mut self) -> Result<(Option<u64>, u64), SqlError> {
        if !self.cursor.take_word("limit") {
            return Ok((None, 0));
        }
        let first = self.cursor.number()?;
        if self.cursor.take_symbol(",") {
            return Ok((Some(self.cursor.number()?), first));
        }
        let offset = if self.cursor.take_word("offset") {
            self.cursor.number()?
        } else {
            0
        };
        Ok((Some(first), offset))
    }

    fn select(&mut self) -> Result<Select, SqlError> {
        let at = self.cursor.at();
        self.cursor.expect_word("select")?;
        let distinct = self.cursor.take_word("distinct");
        self.cursor.take_word("all");
        let items = self.list(Self::item)?;
        let from = if self.cursor.take_word("from") {
            Some(self.from()?)
        } else {
            None
        };
        let filter = if self.cursor.take_word("where") {
            Some(self.expr()?)
        } else {
            None
        };
        let mut group_by = Vec::new();
        if self.cursor.take_words(&["group", "by"]) {
            group_by = self.list(Self::expr)?;
        }
        let having = if self.cursor.take_word("having") {
            Some(self.expr()?)
        } else {
            None
        };
        Ok(Select {
            at,
            distinct,
            items,
            from,
            filter,
            group_by,
            having,
        })
    }

    fn list<T>(&mut self, entry: fn(&mut Self) -> Result<T, SqlError>) -> Result<Vec<T>, SqlError> {
        let mut entries = vec![entry(self)?];
        while self.cursor.take_symbol(",") {
            entries.push(entry(self)?);
        }
        Ok(entries)
    }

    fn item(&mut self) -> Result<Item, SqlError> {
        let at = self.cursor.at();
        if self.cursor.take_symbol("*") {
            return Ok(Item::Star(None, at));
        }
        let table_star = matches!(self.cursor.peek(0), Kind::Word(_) | Kind::Quoted(_))
            && *self.cursor.peek(1) == Kind::Symbol(".")
            && *self.cursor.peek(2) == Kind::Symbol("*");
        if table_star {
            let table = self.cursor.name()?;
            self.cursor.advance();
            self.cursor.advance();
            return Ok(Item::Star(Some(table), at));
        }
        let expr = self.expr()?;
        Ok(Item::Expr(expr, self.alias()?))
    }

    fn alias(&mut self) -> Result<Option<String>, SqlError> {
        if self.cursor.take_word("as") {
            return self.cursor.name().map(Some);
        }
        match self.cursor.peek(0) {
            Kind::Quoted(_) => self.cursor.name().map(Some),
            Kind::Word(word) if !is_reserved(word) => self.cursor.name().map(Some),
            _ => Ok(None),
        }
    }

    fn from(&mut self) -> Result<From, SqlError> {
        let first = self.source()?;
        let mut joins = Vec::new();
        while let Some(kind) = self.join_kind()? {
            let source = self.source()?;
            let on = if self.cursor.take_word("on") {
                Some(self.expr()?)
            } else {
                None
            };
            joins.push(Join { kind, source, on });
        }
        Ok(From { first, joins })
    }

    fn join_kind(&mut self) -> Result<Option<&'static str>, SqlError> {
        let kinds: [(&[&str], &'static str); 5] = [
            (&["inner"], "JOIN"),
            (&["left"], "LEFT JOIN"),
            (&["right"], "RIGHT JOIN"),
            (&["full"], "FULL JOIN"),
            (&["cross"], "CROSS JOIN"),
        ];
        if self.cursor.take_symbol(",") {
            return Ok(Some("CROSS JOIN"));
        }
        for (words, kind) in kinds {
            if self.cursor.take_words(words) {
                self.cursor.take_word("outer");
                self.cursor.expect_word("join")?;
                return Ok(Some(kind));
            }
        }
        Ok(self.cursor.take_word("join").then_some("JOIN"))
    }

    fn source(&mut self) -> Result<Source, SqlError> {
        let at = self.cursor.at();
        if self.cursor.take_symbol("(") {
            let query = self.query()?;
            self.cursor.expect_symbol(")")?;
            return Ok(Source::Query(Box::new(query), self.alias()?, at));
        }
        let table = self.cursor.table_name()?;
        Ok(Source::Table(table, self.alias()?))
    }

    fn orders(&mut self) -> Result<Vec<Order>, SqlError> {
        self.list(|parser| {
            let expr = parser.expr()?;
            let descending = parser.cursor.take_word("desc");
            if !descending {
                parser.cursor.take_word("asc");
            }
            let nulls_first = if parser.cursor.take_words(&["nulls", "first"]) {
                Some(true)
            } else {
                parser
                    .cursor
                    .take_words(&["nulls", "last"])
                    .then_some(false)
            };
            Ok(Order {
                expr,
                descending,
                nulls_first,
            })
        })
    }

    fn expr(&mut self) -> Result<Expr, SqlError> {
        self.nested(|parser| {
            parser.logic("or", "OR", |parser| parser.logic("and", "AND", Self::not))
        })
    }

    fn logic(
        &mut self,
        keyword: &str,
        operator: &'static str,
        operand: fn(&mut Self) -> Result<Expr, SqlError>,
    ) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        let first = operand(self)?;
        if !self.cursor.is_word(0, keyword) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.cursor.take_word(keyword) {
            terms.push(operand(self)?);
        }
        Ok(Expr {
            kind: ExprKind::Logic(operator, terms),
            at,
        })
    }

    fn not(&mut self) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        if self.cursor.take_word("not") || self.cursor.take_symbol("!") {
            let inner = self.nested(Self::not)?;
            return Ok(Expr {
                kind: ExprKind::Not(Box::new(inner)),
                at,
            });
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<Expr, SqlError> {
        const OPERATORS: [(&str, &str); 9] = [
            ("=", "="),
            ("==", "="),
            ("<>", "<>"),
            ("!=", "<>"),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
            ("<=>", "IS"),
        ];
        let mut left = self.sum()?;
        loop {
            let at = self.cursor.at();
            let symbol = OPERATORS
                .into_iter()
                .find(|(symbol, _)| self.cursor.is_symbol(symbol));
            if let Some((_, operator)) = symbol {
                self.cursor.advance();
                let right = self.sum()?;
                left = Expr {
                    kind: ExprKind::Compare(operator, Box::new(left), Box::new(right)),
                    at,
                };
                continue;
            }
            if self.cursor.take_word("is") {
                let negated = self.cursor.take_word("not");
                self.cursor.expect_word("null")?;
                left = Expr {
                    kind: ExprKind::IsNull(Box::new(left), negated),
                    at,
                };
                continue;
            }
            let negated = self.cursor.is_word(0, "not");
            let keyword = |word: &str| self.cursor.is_word(usize::from(negated), word);
            if !(keyword("in") || keyword("between") || keyword("like")) {
                return Ok(left);
            }
            self.cursor.take_word("not");
            left = self.range(left, negated, at)?;
        }
    }

    /// `IN`, `BETWEEN` or `LIKE` after its first operand.
    fn range(&mut self, left: Expr, negated: bool, at: Position) -> Result<Expr, SqlError> {
        let left = Box::new(left);
        let kind = if self.cursor.take_word("between") {
            let low = Box::new(self.sum()?);
            self.cursor.expect_word("and")?;
            ExprKind::Between(left, low, Box::new(self.sum()?), negated)
        } else if self.cursor.take_word("like") {
            ExprKind::Like(left, Box::new(self.sum()?), negated)
        } else {
            self.cursor.expect_word("in")?;
            self.cursor.expect_symbol("(")?;
            let query = self.cursor.is_word(0, "select") || self.cursor.is_word(0, "with");
            let kind = if query {
                ExprKind::InQuery(left, Box::new(self.query()?), negated)
            } else {
                ExprKind::In(left, self.list(Self::expr)?, negated)
            };
            self.cursor.expect_symbol(")")?;
            kind
        };
        Ok(Expr { kind, at })
    }

    fn sum(&mut self) -> Result<Expr, SqlError> {
        self.binary(&["+", "-", "||"], Self::product)
    }

    fn product(&mut self) -> Result<Expr, SqlError> {
        self.binary(&["*", "/", "%", "div"], Self::unary)
    }

    /// A chain of operators of one rank. Its length counts as depth: the tree leans to the left.
    fn binary(
        &mut self,
        operators: &[&'static str],
        operand: fn(&mut Self) -> Result<Expr, SqlError>,
    ) -> Result<Expr, SqlError> {
        let depth = self.depth;
        let mut left = operand(self)?;
        let result = loop {
            let at = self.cursor.at();
            let found = operators.iter().find(|operator| {
                self.cursor.take_symbol(operator) || self.cursor.take_word(operator)
            });
            let Some(operator) = found else {
                break Ok(left);
            };
            if self.depth >= DEPTH_MAX {
                break Err(SqlError::parse(
                    at,
                    format!("more than {DEPTH_MAX} operators in a row"),
                ));
            }
            self.depth += 1;
            let right = operand(self)?;
            let kind = ExprKind::Arithmetic(operator, Box::new(left), Box::new(right));
            left = Expr { kind, at };
        };
        self.depth = depth;
        result
    }

    fn unary(&mut self) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        if self.cursor.take_symbol("-") {
            // The least integer has no positive counterpart.
            if let Kind::Number(digits) = self.cursor.peek(0)
                && let Ok(number) = format!("-{digits}").parse()
            {
                self.cursor.advance();
                return Ok(Expr {
                    kind: ExprKind::Integer(number),
                    at,
                });
            }
            let inner = self.nested(Self::unary)?;
            return Ok(Expr {
                kind: ExprKind::Negate(Box::new(inner)),
                at,
            });
        }
        if self.cursor.take_symbol("+") {
            return self.nested(Self::unary);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        let kind = match self.cursor.peek(0).clone() {
            Kind::Number(digits) => {
                self.cursor.advance();
                number(&digits)
                    .ok_or_else(|| SqlError::parse(at, format!("{digits} is no number")))?
            }
            Kind::Text(_) => {
                // Adjacent strings are one.
                let mut text = self.cursor.text()?;
                while let Kind::Text(more) = self.cursor.peek(0) {
                    text.push_str(more);
                    self.cursor.advance();
                }
                ExprKind::Text(text)
            }
            Kind::Symbol("(") => {
                self.cursor.advance();
                let query = self.cursor.is_word(0, "select") || self.cursor.is_word(0, "with");
                let kind = if query {
                    ExprKind::Scalar(Box::new(self.query()?))
                } else {
                    self.expr()?.kind
                };
                self.cursor.expect_symbol(")")?;
                kind
            }
            Kind::Word(word) => self.word(&word, at)?,
            Kind::Quoted(_) => self.column()?,
            _ => return Err(self.cursor.unexpected("an expression")),
        };
        Ok(Expr { kind, at })
    }

    fn word(&mut self, word: &str, at: Position) -> Result<ExprKind, SqlError> {
        let folded = word.to_ascii_lowercase();
        let next = self.cursor.peek(1).clone();
        match (folded.as_str(), &next) {
            ("null", _) => {
                self.cursor.advance();
                Ok(ExprKind::Null)
            }
            ("true" | "false", _) => {
                self.cursor.advance();
                Ok(ExprKind::Bool(folded == "true"))
            }
            ("case", _) => self.case(),
            ("cast", Kind::Symbol("(")) => self.cast(),
            // DATE '2026-03-02'
            ("date" | "datetime" | "timestamp" | "timestamp_ntz", Kind::Text(_)) => {
                self.cursor.advance();
                let text = Expr {
                    kind: ExprKind::Text(self.cursor.text()?),
                    at,
                };
                let target = folded.parse().map_err(|error| SqlError::parse(at, error))?;
                Ok(ExprKind::Cast(Box::new(text), target))
            }
            (_, Kind::Symbol("(")) => self.call(folded),
            _ if is_reserved(word) => Err(self.cursor.unexpected("an expression")),
            _ => self.column(),
        }
    }

    fn column(&mut self) -> Result<ExprKind, SqlError> {
        // Names are folded, so that expressions of GROUP BY and SELECT compare.
        let mut parts = vec![self.cursor.name()?.to_lowercase()];
        while self.cursor.is_symbol(".") {
            self.cursor.advance();
            parts.push(self.cursor.name()?.to_lowercase());
        }
        let name = parts.pop().unwrap_or_default();
        Ok(ExprKind::Column(parts.pop(), name))
    }

    fn case(&mut self) -> Result<ExprKind, SqlError> {
        self.cursor.expect_word("case")?;
        let operand = if self.cursor.is_word(0, "when") {
            None
        } else {
            Some(Box::new(self.expr()?))
        };
        let mut whens = Vec::new();
        while self.cursor.take_word("when") {
            let when = self.expr()?;
            self.cursor.expect_word("then")?;
            whens.push((when, self.expr()?));
        }
        if whens.is_empty() {
            return Err(self.cursor.unexpected("WHEN"));
        }
        let otherwise = if self.cursor.take_word("else") {
            Some(Box::new(self.expr()?))
        } else {
            None
        };
        self.cursor.expect_word("end")?;
        Ok(ExprKind::Case {
            operand,
            whens,
            otherwise,
        })
    }

    fn cast(&mut self) -> Result<ExprKind, SqlError> {
        self.cursor.advance();
        self.cursor.expect_symbol("(")?;
        let inner = self.expr()?;
        self.cursor.expect_word("as")?;
        let target = column_type(self.cursor)?;
        self.cursor.expect_symbol(")")?;
        Ok(ExprKind::Cast(Box::new(inner), target))
    }

    fn call(&mut self, name: String) -> Result<ExprKind, SqlError> {
        self.cursor.advance();
        self.cursor.expect_symbol("(")?;
        let distinct = self.cursor.take_word("distinct");
        let star = self.cursor.take_symbol("*");
        let args = if star || self.cursor.is_symbol(")") {
            Vec::new()
        } else {
            self.list(Self::expr)?
        };
        self.cursor.expect_symbol(")")?;
        let over = if self.cursor.take_word("over") {
            Some(self.over()?)
        } else {
            None
        };
        Ok(ExprKind::Call(Call {
            name,
            distinct,
            star,
            args,
            over,
        }))
    }

    fn over(&mut self) -> Result<Over, SqlError> {
        self.cursor.expect_symbol("(")?;
        let mut over = Over {
            partition_by: Vec::new(),
            order_by: Vec::new(),
        };
        if self.cursor.take_words(&["partition", "by"]) {
            over.partition_by = self.list(Self::expr)?;
        }
        if self.cursor.take_words(&["order", "by"]) {
            over.order_by = self.orders()?;
        }
        self.cursor.expect_symbol(")")?;
        Ok(over)
    }
}

/// Reads a type from where the cursor stands: `DECIMAL(10,2)`, `MAP<STRING,ARRAY<BIGINT>>`.
pub(crate) fn column_type(cursor: &mut Cursor) -> Result<ColumnType, SqlError> {
    let at = cursor.at();
    let mut text = String::new();
    let mut open = 0_usize;
    loop {
        match cursor.peek(0) {
            Kind::Word(word) => {
                // A word after a finished type belongs to what follows.
                if open == 0 && !text.is_empty() {
                    break;
                }
                text.push_str(word);
            }
            Kind::Quoted(word) if open > 0 => text.push_str(word),
            Kind::Number(digits) if open > 0 => text.push_str(digits),
            Kind::Symbol(symbol @ ("(" | "<")) => {
                open += 1;
                text.push_str(symbol);
            }
            Kind::Symbol(symbol @ (")" | ">")) if open > 0 => {
                open -= 1;
                text.push_str(symbol);
            }
            Kind::Symbol(symbol @ ("," | ":")) if open > 0 => text.push_str(symbol),
            _ => break,
        }
        cursor.advance();
    }
    text.parse().map_err(|error| SqlError::parse(at, error))
}

fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// `1`, `1L`, `1.5`, `1e3`, `1.5BD`.
fn number(digits: &str) -> Option<ExprKind> {
    let suffix = digits.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let folded = suffix.to_ascii_lowercase();
    let plain = digits.strip_suffix(suffix)?;
    match folded.as_str() {
        "" if !plain.contains('.') => match plain.parse() {
            Ok(number) => Some(ExprKind::Integer(number)),
            Err(_) => Some(ExprKind::Decimal(plain.to_owned())),
        },
        "l" | "s" | "y" => plain.parse().ok().map(ExprKind::Integer),
        "bd" => Some(ExprKind::Decimal(plain.to_owned())),
        "d" | "f" => plain.parse().ok().map(ExprKind::Double),
        _ => digits.parse().ok().map(ExprKind::Double),
    }
}

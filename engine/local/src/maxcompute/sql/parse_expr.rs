//! Reads expressions, by rank: OR, AND, NOT, predicates, sums, products, signs, the rest.

use super::ast::{Call, Expr, ExprKind, Over};
use super::error::{Position, SqlError};
use super::parser::{DEPTH_MAX, Parser, column_type, is_reserved};
use super::tokens::Kind;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, SqlError> {
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

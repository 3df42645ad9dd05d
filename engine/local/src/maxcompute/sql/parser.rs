//! Reads queries.

use engine_model::ColumnType;

use super::ast::{From, Item, Join, Order, Query, Select, Source};
use super::error::SqlError;
use super::tokens::{Cursor, Kind};

/// How deep expressions and queries may nest: parsing and translation are recursive.
pub(super) const DEPTH_MAX: usize = 100;

/// Rows of VALUES: SQLite's bound on the terms of a union.
const VALUES_MAX: usize = 500;

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

/// Reads the query of an INSERT up to its end: any, or `VALUES (…), (…)`, which is a union of its rows.
pub(crate) fn query_or_values(cursor: &mut Cursor) -> Result<Query, SqlError> {
    if !cursor.take_word("values") {
        return query(cursor);
    }
    let mut parser = Parser { cursor, depth: 0 };
    let selects = parser.list(Parser::values_row)?;
    if let Some(first) = selects.get(VALUES_MAX) {
        let text = format!("VALUES has more than {VALUES_MAX} rows; upload them, or use several");
        return Err(SqlError::semantic(first.at, text));
    }
    parser.cursor.expect_end()?;
    Ok(Query {
        with: Vec::new(),
        selects,
        union_all: true,
        order_by: Vec::new(),
        limit: None,
        offset: 0,
    })
}

pub(super) struct Parser<'a> {
    pub(super) cursor: &'a mut Cursor,
    /// Levels that the parser is down.
    pub(super) depth: usize,
}

impl Parser<'_> {
    /// Runs `inner` one level down.
    pub(super) fn nested<T>(
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

    pub(super) fn query(&mut self) -> Result<Query, SqlError> {
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

    fn values_row(&mut self) -> Result<Select, SqlError> {
        let at = self.cursor.at();
        self.cursor.expect_symbol("(")?;
        let items = self.list(|parser| Ok(Item::Expr(parser.expr()?, None)))?;
        self.cursor.expect_symbol(")")?;
        Ok(Select {
            at,
            distinct: false,
            items,
            from: None,
            filter: None,
            group_by: Vec::new(),
            having: None,
        })
    }

    pub(super) fn list<T>(
        &mut self,
        entry: fn(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
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

    pub(super) fn orders(&mut self) -> Result<Vec<Order>, SqlError> {
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

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

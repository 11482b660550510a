//! `$filter`: `eq`, `ne`, `startswith`, `contains`, `and`, `or`, `not` and parentheses over named texts. Anything else
//! of OData's language is refused with a sentence that says what there is.

use super::super::answer::GraphError;
use super::Row;

/// Expressions may nest so deep; more is refused rather than risked.
const DEEPEST: usize = 32;

/// A filter that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Equals(&'static str, String),
    StartsWith(&'static str, String),
    Contains(&'static str, String),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Filter {
    /// Reads an expression over the properties in `known`.
    pub(crate) fn read(text: &str, known: &'static [&'static str]) -> Result<Self, GraphError> {
        let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), known, depth: 0 };
        let filter = parser.any()?;
        match parser.tokens.next() {
            None => Ok(filter),
            Some(_) => Err(syntax("something follows after the end of the expression")),
        }
    }

    /// Whether a row passes. Texts compare exactly, as OData's do; a property without a value equals nothing.
    pub(crate) fn passes(&self, row: &impl Row) -> bool {
        match self {
            Self::Equals(name, value) => row.text(name).is_some_and(|text| text == *value),
            Self::StartsWith(name, value) => row.text(name).is_some_and(|text| text.starts_with(value)),
            Self::Contains(name, value) => row.text(name).is_some_and(|text| text.contains(value)),
            Self::Not(inner) => !inner.passes(row),
            Self::And(left, right) => left.passes(row) && right.passes(row),
            Self::Or(left, right) => left.passes(row) || right.passes(row),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Word(String),
    Text(String),
}

fn syntax(why: &str) -> GraphError {
    GraphError::query_option(format!("The query option $filter cannot be understood: {why}."))
}

/// Splits an expression. A quote inside a text is doubled (Graph docs: use query parameters).
fn tokens(text: &str) -> Result<Vec<Token>, GraphError> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '\'' => {
                let mut value = String::new();
                loop {
                    match letters.next() {
                        Some('\'') if letters.next_if_eq(&'\'').is_some() => value.push('\''),
                        Some('\'') => break,
                        Some(other) => value.push(other),
                        None => return Err(syntax("a text is not closed with a single quote")),
                    }
                }
                tokens.push(Token::Text(value));
            }
            blank if blank.is_whitespace() => {}
            first => {
                let mut word = String::from(first);
                while let Some(next) =
                    letters.next_if(|next| !next.is_whitespace() && !matches!(next, '(' | ')' | ',' | '\''))
                {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    known: &'static [&'static str],
    depth: usize,
}

impl Parser {
    /// `or` binds less than `and`, `and` less than `not` (OData: operator precedence).
    fn any(&mut self) -> Result<Filter, GraphError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(syntax("it is nested too deep"));
        }
        let mut left = self.all()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn all(&mut self) -> Result<Filter, GraphError> {
        let mut left = self.one()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, GraphError> {
        let mut negated = false;
        while self.word("not") {
            negated = !negated;
        }
        let inner = match self.tokens.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                self.expect(&Token::Close, "a parenthesis is not closed")?;
                inner
            }
            Some(Token::Word(name)) if self.tokens.peek() == Some(&Token::Open) => self.function(&name)?,
            Some(Token::Word(name)) => self.comparison(&name)?,
            _ => return Err(syntax("a property or a function is missing")),
        };
        Ok(if negated { Filter::Not(Box::new(inner)) } else { inner })
    }

    fn function(&mut self, name: &str) -> Result<Filter, GraphError> {
        let make = match name {
            "startswith" => Filter::StartsWith,
            "contains" => Filter::Contains,
            other => {
                let why =
                    format!("the function '{other}' is not supported here, only startswith and contains");
                return Err(syntax(&why));
            }
        };
        self.expect(&Token::Open, "a parenthesis is missing")?;
        let property = match self.tokens.next() {
            Some(Token::Word(property)) => self.property(&property)?,
            _ => return Err(syntax("the first argument of a function must be a property")),
        };
        self.expect(&Token::Comma, "a function needs two arguments")?;
        let value = self.text()?;
        self.expect(&Token::Close, "a parenthesis is not closed")?;
        Ok(make(property, value))
    }

    fn comparison(&mut self, property: &str) -> Result<Filter, GraphError> {
        let property = self.property(property)?;
        let Some(Token::Word(operator)) = self.tokens.next() else {
            return Err(syntax("an operator is missing"));
        };
        let negated = match operator.as_str() {
            "eq" => false,
            "ne" => true,
            other => {
                let why = format!("the operator '{other}' is not supported here, only eq and ne");
                return Err(syntax(&why));
            }
        };
        let equals = Filter::Equals(property, self.text()?);
        Ok(if negated { Filter::Not(Box::new(equals)) } else { equals })
    }

    fn property(&self, name: &str) -> Result<&'static str, GraphError> {
        let found = self.known.iter().copied().find(|known| *known == name);
        found.ok_or_else(|| {
            let known = self.known.join(", ");
            syntax(&format!("the property '{name}' is not supported here, only {known}"))
        })
    }

    fn text(&mut self) -> Result<String, GraphError> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => Err(syntax("a text in single quotes is missing")),
        }
    }

    fn word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(found) if found == word)).is_some()
    }

    fn expect(&mut self, token: &Token, otherwise: &str) -> Result<(), GraphError> {
        self.tokens.next_if_eq(token).map(|_| ()).ok_or_else(|| syntax(otherwise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl Row for Named {
        fn position(&self) -> u64 {
            0
        }

        fn text(&self, name: &str) -> Option<String> {
            (name == "displayName").then(|| self.0.to_owned())
        }
    }

    fn passes(text: &str, name: &'static str) -> bool {
        Filter::read(text, &["displayName", "state"])
            .map_err(|error| error.message)
            .unwrap()
            .passes(&Named(name))
    }

    #[test]
    fn expressions_mean_what_odata_says() {
        assert!(passes("displayName eq 'O''Neill Academy'", "O'Neill Academy"));
        assert!(passes("displayName ne 'B'", "A") && !passes("displayName ne 'A'", "A"));
        assert!(passes("startswith(displayName,'Fab') and contains( displayName , 'ISD')", "Fabrikam ISD"));
        let precedence = "displayName eq 'A' or displayName eq 'B' and displayName eq 'C'";
        assert!(passes(precedence, "A") && !passes(precedence, "C"));
        assert!(!passes("(displayName eq 'A' or displayName eq 'B') and not (displayName eq 'A')", "A"));
        assert!(!passes("state eq 'x'", "A") && passes("state ne 'x'", "A"));
        assert!(passes("not not displayName eq ''", ""));
    }

    #[test]
    fn what_is_not_there_is_refused_and_named() {
        let deep = "(".repeat(100);
        let wrong = [
            ("nickname eq 'x'", "'nickname'"),
            ("displayName gt 'x'", "'gt'"),
            ("endswith(displayName,'x')", "'endswith'"),
            ("displayName eq 5", "single quotes"),
            ("displayName eq 'x", "not closed"),
            ("displayName eq", "single quotes"),
            ("displayName", "operator is missing"),
            ("(displayName eq 'x'", "not closed"),
            ("displayName eq 'x')", "after the end"),
            ("startswith(displayName)", "two arguments"),
            ("startswith('x',displayName)", "first argument"),
            ("", "is missing"),
            (deep.as_str(), "too deep"),
        ];
        for (text, part) in wrong {
            let message = Filter::read(text, &["displayName"]).unwrap_err().message;
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

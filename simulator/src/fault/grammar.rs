//! How a fault is written: `CALL:KIND[,OPTION=VALUE...]` as text, or the same parts as JSON. Errors are sentences for
//! the person who wrote it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::{Fault, Kind, Operation, RetryAfter, Target};

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (call, rest) = text
            .split_once(':')
            .ok_or("write CALL:KIND[,OPTION=VALUE...], such as create:504-after-commit,times=1")?;
        let mut parts = split(rest)?.into_iter();
        let mut fault = Self::new(call.trim(), parts.next().unwrap_or_default().trim())?;
        for part in parts {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("'{part}' is no option; write OPTION=VALUE, such as times=3"))?;
            fault.set(name.trim(), unquoted(value.trim()))?;
        }
        fault.checked()
    }
}

/// Splits at commas that do not stand in double quotes.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut quoted = false;
    let parts = text.split(|letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    let parts: Vec<&str> = parts.collect();
    if quoted { Err("a double quote is not closed".to_owned()) } else { Ok(parts) }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

impl Fault {
    /// Reads `{"spec": "…"}` or the parts: `{"call": "create", "kind": "504", "times": 2, "retryAfter": "5,7"}`.
    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        let members =
            value.as_object().ok_or("send a JSON object, such as {\"spec\": \"create:504,times=1\"}")?;
        if let Some(spec) = members.get("spec") {
            return spec.as_str().ok_or("\"spec\" must be a string")?.parse();
        }
        let part = |name: &str| {
            let text = members.get(name).and_then(plain);
            text.ok_or_else(|| format!("\"{name}\" is missing; or send the whole as \"spec\""))
        };
        let mut fault = Self::new(&part("call")?, &part("kind")?)?;
        for (name, value) in members.iter().filter(|(name, _)| !["call", "kind"].contains(&name.as_str())) {
            let name = match name.as_str() {
                "retryAfter" => "retry-after",
                "displayName" => "name",
                "profileId" => "id",
                other => other,
            };
            let value = plain(value).ok_or_else(|| format!("\"{name}\" must be a string or a number"))?;
            fault.set(name, &value)?;
        }
        fault.checked()
    }

    fn new(call: &str, kind: &str) -> Result<Self, String> {
        let operation = if call == "any" {
            Target::AnyGraph
        } else {
            let known = Operation::ALL.into_iter().filter(|one| *one != Operation::Other);
            let found = known.clone().find(|one| one.as_str() == call);
            Target::One(found.ok_or_else(|| {
                let names: Vec<&str> = known.map(Operation::as_str).collect();
                format!("there is no call '{call}'; there are any, {}", names.join(", "))
            })?)
        };
        let parsed = Kind::parse(kind)
            .ok_or_else(|| format!("there is no kind of fault '{kind}'; --help lists them all"))?;
        Ok(Self {
            operation,
            kind: parsed,
            times: Some(1),
            after: 0,
            chance: None,
            name: None,
            id: None,
            retry_after: None,
            span: None,
            window: None,
            value: None,
        })
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        match option {
            "times" if value == "always" => self.times = None,
            "times" => self.times = Some(number(option, value)?),
            "after" => self.after = number(option, value)?,
            "chance" => {
                let percent = value.strip_suffix('%').unwrap_or(value).parse().ok();
                let percent = percent.filter(|percent| (1..=100).contains(percent));
                let help = || format!("chance={value}: write a percentage from 1 to 100, such as 20%");
                self.chance = Some(percent.ok_or_else(help)?);
            }
            "name" => self.name = Some(value.to_owned()),
            "id" => self.id = Some(value.to_owned()),
            "retry-after" if self.kind.takes_retry_after() => self.retry_after = Some(retry_after(value)?),
            "window" if matches!(self.kind, Kind::Status { status: 429, committed: false }) => {
                self.window = Some(duration(option, value)?);
            }
            "value" if self.kind.takes_value() => self.value = Some(value.to_owned()),
            span if self.kind.span_option() == Some(span) => self.span = Some(duration(option, value)?),
            other => return Err(format!("the kind '{}' takes no option '{other}'", self.kind)),
        }
        Ok(())
    }

    /// Refuses what could never strike.
    fn checked(self) -> Result<Self, String> {
        let (call, only) = (self.operation.to_string(), self.kind.only_for());
        if !only.is_empty() && !only.contains(&call.as_str()) {
            return Err(format!("'{}' is a fault of {}, not of {call}", self.kind, only.join(", ")));
        }
        let graph = match self.operation {
            Target::AnyGraph => true,
            Target::One(operation) => operation.is_graph(),
        };
        if self.kind.graph_only() && !graph {
            return Err(format!("'{}' is a fault of calls to Graph, not of {call}", self.kind));
        }
        self.checked_choice()
    }

    /// Refuses a choice of calls that none can meet.
    fn checked_choice(self) -> Result<Self, String> {
        if self.times == Some(0) {
            return Err("times=0 never strikes; write 1 or more, or always".to_owned());
        }
        let Target::One(operation) = self.operation else { return Ok(self) };
        let call = operation.as_str();
        if self.id.is_some() && !operation.has_id() {
            return Err(format!("no call of {call} is about a profile's id; leave id= out"));
        }
        // A create has a name, but no id.
        let has_name = operation.has_id() || operation == Operation::Create;
        match (self.kind == Kind::DeletedByOther, &self.name) {
            (true, None) if !operation.has_id() => {
                Err(format!("'deleted-by-other' of {call} needs a name=, to know who is deleted"))
            }
            (false, Some(_)) if !has_name => {
                Err(format!("no call of {call} is about a display name; leave name= out"))
            }
            _ => Ok(self),
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(option: &str, value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| format!("{option}={value}: write a whole number, 0 or more"))
}

fn duration(option: &str, value: &str) -> Result<Duration, String> {
    parse_duration(value)
        .ok_or_else(|| format!("{option}={value}: write a duration like 500ms, 2s, 1m or 1h"))
}

/// Reads a duration such as `500ms`, `2s`, `1m`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let parsed = text.parse::<jiff::SignedDuration>().ok()?;
    Duration::try_from(parsed).ok()
}

fn retry_after(value: &str) -> Result<RetryAfter, String> {
    if value == "none" {
        return Ok(RetryAfter::None);
    }
    if let Some(ahead) = value.strip_prefix("date:") {
        return duration("retry-after", ahead).map(RetryAfter::Date);
    }
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && part.parse::<f64>().is_ok()
    };
    if value.split(',').map(str::trim).all(is_number) {
        return Ok(RetryAfter::Text(value.to_owned()));
    }
    Err(format!("retry-after={value}: write 5, 2.128, \"5,7\", date:30s or none"))
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.operation, self.kind)?;
        match self.times {
            Some(1) => {}
            Some(times) => write!(out, ",times={times}")?,
            None => out.write_str(",times=always")?,
        }
        if self.after > 0 {
            write!(out, ",after={}", self.after)?;
        }
        if let Some(percent) = self.chance {
            write!(out, ",chance={percent}%")?;
        }
        let span = self.span.map(shown);
        let retry_after = self.retry_after.as_ref().map(|form| match form {
            RetryAfter::Text(text) => text.clone(),
            RetryAfter::Date(ahead) => format!("date:{}", shown(*ahead)),
            RetryAfter::None => "none".to_owned(),
        });
        let options = [
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("retry-after", retry_after),
            ("window", self.window.map(shown)),
            (self.kind.span_option().unwrap_or(""), span),
            ("value", self.value.clone()),
        ];
        for (name, value) in options {
            let Some(value) = value else { continue };
            let quote = if value.contains(',') { "\"" } else { "" };
            write!(out, ",{name}={quote}{value}{quote}")?;
        }
        Ok(())
    }
}

/// A duration as it is written in a specification.
fn shown(span: Duration) -> String {
    let millis = span.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_written_again() {
        let specs = [
            "create:504-after-commit",
            "list:429,after=3,retry-after=2.128",
            "any:429,times=always,retry-after=\"5,7\",window=10s",
            "get:503,times=3,id=42,retry-after=date:30s",
            "create:not-found,name=\"A, B\",for=1500ms",
            "list.page:500,retry-after=none",
            "token:aadsts-70021,times=4",
            "any:unknown-state,value=frozen",
            "delete:reset-after-commit",
            "any:503,times=always,chance=20%",
            "profileStatus:unknown-status",
        ];
        for spec in specs {
            assert_eq!(spec.parse::<Fault>().map(|fault| fault.to_string()), Ok(spec.to_owned()));
        }
        assert_eq!(
            "create:504,times=1,after=0".parse::<Fault>().map(|fault| fault.to_string()),
            Ok("create:504".into())
        );
    }

    #[test]
    fn mistakes_are_explained() {
        let mistakes = [
            ("create", "CALL:KIND"),
            ("make:504", "there is no call 'make'; there are any, list"),
            ("create:hiccup", "no kind of fault 'hiccup'"),
            ("create:200", "no kind of fault '200'"),
            ("create:504,often", "write OPTION=VALUE"),
            ("create:504,times=x", "times=x: write a whole number"),
            ("create:504,delay=1s", "the kind '504' takes no option 'delay'"),
            ("create:slow,delay=1", "write a duration like"),
            ("create:429,retry-after=soon", "write 5, 2.128"),
            ("create:503,chance=0", "from 1 to 100"),
            ("create:503,window=5s", "takes no option 'window'"),
            ("get:not-found", "is a fault of create, not of get"),
            ("token:unknown-state", "is a fault of calls to Graph"),
            ("create:504,name=\"x", "not closed"),
            ("create:504,times=0", "times=0 never strikes"),
            ("token:429,name=P", "no call of token is about a display name"),
            ("identity:410,id=1", "no call of identity is about a profile's id"),
            ("list:503,id=1", "no call of list is about a profile's id"),
            ("create:503,id=1", "no call of create is about a profile's id"),
            ("list:lag,name=P", "no call of list is about a display name"),
            ("count:deleted-by-other", "needs a name="),
            ("errors:stale", "is a fault of list, list.page, count, get, profileStatus"),
        ];
        for (spec, part) in mistakes {
            let error = spec.parse::<Fault>().unwrap_err();
            assert!(error.contains(part), "{spec}: {error}");
        }
    }

    #[test]
    fn json_says_the_same() {
        let json = serde_json::json!({
            "call": "get", "kind": "429", "times": 2, "after": 3, "retryAfter": "5,7", "displayName": "N", "window": "5s"
        });
        let fault = Fault::from_json(&json).unwrap();
        assert_eq!(fault.to_string(), "get:429,times=2,after=3,name=N,retry-after=\"5,7\",window=5s");
        let spec = serde_json::json!({ "spec": "get:504" });
        assert_eq!(Fault::from_json(&spec).unwrap().to_string(), "get:504");
        assert!(
            Fault::from_json(&serde_json::json!({ "call": "get" }))
                .unwrap_err()
                .contains("\"kind\" is missing")
        );
        assert!(Fault::from_json(&serde_json::json!([])).is_err());
    }
}

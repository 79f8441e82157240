//! Options of a plugin: the part of JSON Schema that describes them, and what a user writes.
//!
//! Known are `type` (`object`, `array`, `string`, `integer`, `number`, `boolean`), `enum`, `default`, `minimum`, `maximum`,
//! `minLength`, `maxLength`, `items`, `properties`, `required` and `additionalProperties` (true or false; false when it is
//! not said, unlike in JSON Schema: a mistyped name is a mistake). `title`, `description`, `examples`, `$schema`, `$id`,
//! `$comment` and names that begin with `x-` say nothing here. A schema with any other word is refused, for what it forbids
//! would be let through. At the top, `x-short` names the property that `--sink NAME=VALUE` sets.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::OptionsError;
use crate::opened::printable;

/// Deeper ones are not read, nor looked into.
const MAX_DEPTH: usize = 16;

/// Longer names are like no other.
const MAX_LIKE: usize = 64;

/// What options a plugin has.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    root: Node,
    short: Option<String>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Clone, Debug, Default)]
struct Node {
    kind: Option<Kind>,
    one_of: Option<Vec<Value>>,
    default: Option<Value>,
    description: String,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    items: Option<Box<Node>>,
    properties: BTreeMap<String, Node>,
    required: Vec<String>,
    additional: bool,
}

/// One option, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionInfo {
    /// Its name.
    pub name: String,
    /// `string`, `integer` …
    pub kind: &'static str,
    /// Its default as JSON, or `required`, or empty.
    pub default: String,
    /// What the plugin says of it.
    pub description: String,
}

/// Something wrong with options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The option, as in `tags[0]` or `tls.on`; empty for all of it.
    pub place: String,
    /// What is wrong, with the place.
    pub text: String,
}

/// That a name is not known, which one is nearest, and what there is: what follows the name in a message.
pub fn not_known<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match (nearest(name, known.iter().copied()), known.is_empty()) {
        (_, true) => "is not known; there are no options".into(),
        (Some(near), _) => format!("is not known; did you mean {near}? There are {}", known.join(", ")),
        (None, _) => format!("is not known; there are {}", known.join(", ")),
    }
}

/// The known name that somebody who typed `name` may have meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What takes as long as both together are long is not done to names that nobody has typed.
    let like = |known: &&'a str| match name.len().max(known.len()) <= MAX_LIKE {
        true => strsim::damerau_levenshtein(name, known),
        false => usize::MAX,
    };
    // Of other words nobody is reminded.
    let near = known.into_iter().filter(|known| like(known) <= 1 + name.chars().count() / 3);
    near.min_by_key(like)
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("object", Self::Object),
        ("array", Self::Array),
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

impl Schema {
    /// Reads a schema; an empty text allows no options.
    ///
    /// # Errors
    /// What of it is not known, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            let root = Node { kind: Some(Kind::Object), ..Node::default() };
            return Ok(Self { root, ..Self::default() });
        }
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let root = Node::parse(&value, "", 0)?;
        if let Some(name) = root.required.iter().find(|name| !root.properties.contains_key(*name)) {
            return Err(format!("{name} is required, and no property"));
        }
        if root.kind != Some(Kind::Object) {
            return Err("expected \"type\": \"object\" at its top".into());
        }
        let short = match value.get("x-short") {
            None => None,
            Some(Value::String(name)) if root.properties.contains_key(name) => Some(name.clone()),
            Some(other) => return Err(format!("`x-short` is {other}; expected the name of a property")),
        };
        Ok(Self { root, short, text: text.to_owned() })
    }

    /// As it was read.
    pub(crate) fn text(&self) -> &String {
        &self.text
    }

    /// The options at the top, by name.
    pub fn list(&self) -> Vec<OptionInfo> {
        let list = self.root.properties.iter().map(|(name, node)| OptionInfo {
            name: printable(name),
            kind: node.kind.map_or("any", Kind::name),
            default: match &node.default {
                Some(default) => printable(&default.to_string()),
                None if self.root.required.contains(name) => "required".into(),
                None => String::new(),
            },
            description: printable(&node.description),
        });
        list.collect()
    }

    /// Options as a user writes them: a JSON object; `name=value` pairs with commas between, the first with the name of an
    /// option; or else the value of the option that the schema names for it. A name that is nearly that of an option is a mistake. Checked and completed.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn read(&self, plugin: &str, text: &str) -> Result<String, OptionsError> {
        let wrong = |problems| OptionsError { plugin: plugin.to_owned(), problems };
        let value = self.value(text).map_err(|problem| wrong(vec![problem]))?;
        self.check(plugin, value)
    }

    /// Checks and completes options that are JSON already.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn check(&self, plugin: &str, mut value: Value) -> Result<String, OptionsError> {
        let problems = self.complete(&mut value);
        if problems.is_empty() {
            return Ok(value.to_string());
        }
        let problems = problems.into_iter().map(|problem| problem.text).collect();
        Err(OptionsError { plugin: plugin.to_owned(), problems })
    }

    /// Fills in defaults, and says everything that is wrong.
    pub fn complete(&self, value: &mut Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.root.check(value, "", &mut problems);
        // Names in them may be the plugin's, which may have anything in them.
        problems.iter_mut().for_each(|problem| problem.text = printable(&problem.text));
        problems
    }

    /// Options as a user writes them, as [`read`](Self::read) takes them: not checked, and without defaults.
    ///
    /// # Errors
    /// Why they are no options.
    pub fn value(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        if text.starts_with('{') {
            let Once(value) = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
            return Ok(value);
        }
        let known = |part: &str| part.split_once('=').is_some_and(|(name, _)| self.has(name.trim()));
        if let Some(mistyped) = text.split(',').find_map(|part| self.mistyped(part)) {
            return Err(mistyped);
        }
        if !known(text) {
            let Some(short) = &self.short else {
                return Err(match self.root.properties.is_empty() {
                    true => format!("found {text:?}; there are no options"),
                    false => format!("found {text:?}; expected name=value with {}, or JSON", self.names()),
                });
            };
            return Ok(Value::Object([(short.clone(), self.typed(short, text)?)].into_iter().collect()));
        }
        // A comma may belong to a value.
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            match (part.split_once('='), pairs.last_mut()) {
                (Some((name, value)), _) if self.has(name.trim()) => {
                    pairs.push((name.trim().to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => *value = format!("{value},{part}"),
                _ => {}
            }
        }
        let mut object = Map::new();
        for (name, value) in pairs {
            let value = self.typed(&name, &value)?;
            if object.insert(name.clone(), value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(Value::Object(object))
    }

    /// Why `name=value` is probably no part of a value but an option with a mistake in its name.
    fn mistyped(&self, part: &str) -> Option<String> {
        let name = part.split_once('=')?.0.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.has(name) || name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        let names = || self.root.properties.keys().map(String::as_str);
        nearest(name, names())?;
        let told = not_known(name, names());
        Some(printable(&format!("{name} {told}; a value with `{name}=` in it is taken as JSON")))
    }

    fn has(&self, name: &str) -> bool {
        self.root.properties.contains_key(name)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.root.properties.keys().map(String::as_str).collect();
        names.join(" or ")
    }

    /// A word as what the option is.
    fn typed(&self, name: &str, text: &str) -> Result<Value, String> {
        let kind = self.root.properties.get(name).and_then(|node| node.kind);
        match kind {
            Some(Kind::String) => Ok(Value::String(text.to_owned())),
            None => Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))),
            Some(kind) => serde_json::from_str(text)
                .map_err(|_| format!("{name}: expected {}, found {text:?}", article(kind))),
        }
    }
}

fn article(kind: Kind) -> String {
    let vowel = matches!(kind, Kind::Object | Kind::Array | Kind::Integer);
    format!("{} {}", if vowel { "an" } else { "a" }, kind.name())
}

impl Node {
    fn parse(value: &Value, place: &str, depth: usize) -> Result<Self, String> {
        let at = if place.is_empty() { "the top" } else { place };
        let object = value.as_object().ok_or_else(|| format!("{at} is no object"))?;
        if depth > MAX_DEPTH {
            return Err(format!("{at} lies more than {MAX_DEPTH} deep"));
        }
        let mut node = Self::default();
        for (word, value) in object {
            let wrong = |expected: &str| format!("`{word}` of {at} is {value}; expected {expected}");
            let number = || value.as_f64().ok_or_else(|| wrong("a number"));
            let length = || value.as_u64().ok_or_else(|| wrong("a length"));
            match word.as_str() {
                "type" => {
                    let kind = Kind::ALL.iter().find(|(name, _)| value == name);
                    let kind =
                        kind.ok_or_else(|| wrong("object, array, string, integer, number or boolean"))?;
                    node.kind = Some(kind.1);
                }
                "enum" => {
                    node.one_of = Some(value.as_array().ok_or_else(|| wrong("an array"))?.clone());
                }
                "default" => node.default = Some(value.clone()),
                "description" => {
                    node.description = value.as_str().ok_or_else(|| wrong("a string"))?.to_owned();
                }
                "minimum" => node.minimum = Some(number()?),
                "maximum" => node.maximum = Some(number()?),
                "minLength" => node.min_length = Some(length()?),
                "maxLength" => node.max_length = Some(length()?),
                "items" => node.items = Some(Box::new(Self::parse(value, &format!("{place}[]"), depth + 1)?)),
                "properties" => {
                    for (name, value) in value.as_object().ok_or_else(|| wrong("an object"))? {
                        let parsed = Self::parse(value, &join(place, name), depth + 1)?;
                        node.properties.insert(name.clone(), parsed);
                    }
                }
                "required" => {
                    let names = value.as_array().ok_or_else(|| wrong("an array of names"))?;
                    for name in names {
                        let name = name.as_str().ok_or_else(|| wrong("an array of names"))?;
                        node.required.push(name.to_owned());
                    }
                }
                "additionalProperties" => {
                    node.additional = value.as_bool().ok_or_else(|| wrong("true or false"))?;
                }
                "title" | "examples" | "$schema" | "$id" | "$comment" => {}
                word if word.starts_with("x-") => {}
                word => return Err(format!("{at} has `{word}`, which is not known; see docs/plugins.md")),
            }
        }
        if let Some(default) = &node.default {
            let mut problems = Vec::new();
            node.check(&mut default.clone(), at, &mut problems);
            if !problems.is_empty() {
                let problems: Vec<String> = problems.into_iter().map(|problem| problem.text).collect();
                return Err(format!("its own default is not allowed: {}", problems.join("; ")));
            }
        }
        Ok(node)
    }

    /// Notes what is wrong with `value`, and fills in defaults.
    fn check(&self, value: &mut Value, place: &str, problems: &mut Vec<Problem>) {
        let at = if place.is_empty() { "all of it" } else { place };
        let mut wrong = |text: String| {
            problems.push(Problem { place: place.to_owned(), text: format!("{at}: {text}") });
        };
        if let Some(kind) = self.kind
            && !kind.takes(value)
        {
            return wrong(format!("expected {}, found {value}", article(kind)));
        }
        if let Some(allowed) = &self.one_of
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            wrong(format!("expected {}, found {value}", allowed.join(" or ")));
        }
        if let Some(number) = value.as_f64() {
            if let Some(least) = self.minimum.filter(|least| number < *least) {
                wrong(format!("expected {least} or more, found {value}"));
            }
            if let Some(most) = self.maximum.filter(|most| number > *most) {
                wrong(format!("expected {most} or less, found {value}"));
            }
        }
        match value {
            Value::String(text) => {
                let length = text.chars().count() as u64;
                if let Some(least) = self.min_length.filter(|least| length < *least) {
                    wrong(format!("expected {least} characters or more, found {text:?}"));
                }
                if let Some(most) = self.max_length.filter(|most| length > *most) {
                    wrong(format!("expected {most} characters or less, found {length}"));
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter_mut().enumerate() {
                    if let Some(items) = &self.items {
                        items.check(value, &format!("{place}[{index}]"), problems);
                    }
                }
            }
            Value::Object(values) => self.check_object(values, place, problems),
            _ => {}
        }
    }

    fn check_object(&self, values: &mut Map<String, Value>, place: &str, problems: &mut Vec<Problem>) {
        for (name, node) in &self.properties {
            if let (None, Some(default)) = (values.get(name), &node.default) {
                values.insert(name.clone(), default.clone());
            }
        }
        for name in self.required.iter().filter(|name| !values.contains_key(*name)) {
            let place = join(place, name);
            problems.push(Problem { text: format!("{place} is missing"), place });
        }
        for (name, value) in values.iter_mut() {
            match self.properties.get(name) {
                Some(node) => node.check(value, &join(place, name), problems),
                None if self.additional || (self.kind.is_none() && self.properties.is_empty()) => {}
                None => {
                    let known = not_known(name, self.properties.keys().map(String::as_str));
                    let place = join(place, name);
                    problems.push(Problem { text: format!("{place} {known}"), place });
                }
            }
        }
    }
}

/// JSON in which no name comes twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(value)) = values.next_element()? {
            all.push(value);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Once(value))) = entries.next_entry::<String, Once>()? {
            if all.contains_key(&name) {
                return Err(serde::de::Error::custom(format!("{name} is there twice")));
            }
            all.insert(name, value);
        }
        Ok(all.into())
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object",
        "x-short": "listen",
        "properties": {
            "listen": { "type": "string", "default": "127.0.0.1:9464", "description": "Where." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 10 },
            "mode": { "enum": ["fast", "whole"] },
            "tags": { "type": "array", "items": { "type": "string", "maxLength": 3 } },
            "tls": { "type": "object", "properties": { "on": { "type": "boolean", "default": true } } }
        }
    }"#;

    fn read(text: &str) -> Result<Value, Vec<String>> {
        let schema = Schema::parse(SCHEMA).unwrap();
        let text = schema.read("p", text).map_err(|error| error.problems)?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text), Ok(serde_json::from_str(expected).unwrap()), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, problems: &[&str]) {
        assert_eq!(read(text).unwrap_err(), problems, "{text}");
    }

    #[test]
    fn what_a_user_writes() {
        check("", r#"{"listen": "127.0.0.1:9464"}"#);
        check("[::1]:80", r#"{"listen": "[::1]:80"}"#);
        check("http://x/?a=b,c", r#"{"listen": "http://x/?a=b,c"}"#);
        check("limit=3,listen=a,b=c", r#"{"limit": 3, "listen": "a,b=c"}"#);
        check("mode=whole", r#"{"mode": "whole", "listen": "127.0.0.1:9464"}"#);
        check(
            r#"{"tls": {}, "tags": ["a"]}"#,
            r#"{"tls": {"on": true}, "tags": ["a"], "listen": "127.0.0.1:9464"}"#,
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        refused("limit=many", &["limit: expected an integer, found \"many\""]);
        refused("limit=3,limit=4", &["limit is there twice"]);
        refused(
            r#"{"limit": 11, "lisen": 1, "mode": "slow", "tags": ["long", 5], "tls": {"on": "yes"}}"#,
            &[
                "limit: expected 10 or less, found 11",
                "lisen is not known; did you mean listen? There are limit, listen, mode, tags, tls",
                "mode: expected \"fast\" or \"whole\", found \"slow\"",
                "tags[0]: expected 3 characters or less, found 4",
                "tags[1]: expected a string, found 5",
                "tls.on: expected a boolean, found \"yes\"",
            ],
        );
        let lisen = "lisen is not known; did you mean listen? There are limit, listen, mode, tags, tls; a value with `lisen=` in it is taken as JSON";
        refused("lisen=127.0.0.1:80", &[lisen]);
        refused("limit=3,lisen=127.0.0.1:80", &[lisen]);
        check(r#"{"listen": "lisen=127.0.0.1:80"}"#, r#"{"listen": "lisen=127.0.0.1:80"}"#);
        assert!(read("{").unwrap_err()[0].starts_with("no JSON: "));
        refused(r#"{"tls": {"on": true, "on": false}}"#, &["no JSON: on is there twice at line 1 column 33"]);
        let none = Schema::parse("").unwrap();
        assert_eq!(none.read("p", "x=1").unwrap_err().problems, ["found \"x=1\"; there are no options"]);
        assert_eq!(
            none.read("p", "{\"x\": 1}").unwrap_err().problems,
            ["x is not known; there are no options"]
        );
        assert_eq!(none.read("p", "").unwrap(), "{}");
    }

    #[test]
    fn a_schema_that_would_let_things_through_is_refused() {
        for (schema, expected) in [
            (r#"{"type": "object", "patternProperties": {}}"#, "patternProperties"),
            (r#"{"type": "string"}"#, "at its top"),
            ("[]", "the top is no object"),
            ("{", "it is no JSON"),
            (r#"{"type": "object", "x-short": "a"}"#, "x-short"),
            (
                r#"{"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}"#,
                "own default",
            ),
            (r#"{"type": "object", "properties": {"a": {"$ref": "b"}}}"#, "a has `$ref`"),
        ] {
            let error = Schema::parse(schema).unwrap_err();
            assert!(error.contains(expected), "{schema}: {error}");
        }
    }

    #[test]
    fn what_a_hostile_schema_calls_things_reaches_no_terminal_and_takes_no_time() {
        let long = "x".repeat(500_000);
        let schema = format!(
            r#"{{"type": "object", "properties": {{
                "\u001b[2J": {{ "type": "string", "default": "\u009b", "description": "\u001b[31m" }},
                "{long}": {{}}
            }}}}"#
        );
        let schema = Schema::parse(&schema).unwrap();
        let plain = |text: &str| !text.chars().any(char::is_control);
        for option in schema.list() {
            assert!(
                plain(&option.name) && plain(&option.default) && plain(&option.description),
                "{option:?}"
            );
        }
        let problems = schema.read("p", &format!("{{\"{long}y\": 1}}")).unwrap_err().problems;
        assert!(problems[0].contains("is not known; there are ") && plain(&problems[0]));
    }

    #[test]
    fn options_are_listed_with_their_defaults() {
        let schema = Schema::parse(SCHEMA).unwrap();
        let listen = schema.list().into_iter().find(|option| option.name == "listen").unwrap();
        assert_eq!(
            (listen.kind, &*listen.default, &*listen.description),
            ("string", "\"127.0.0.1:9464\"", "Where.")
        );
    }
}

//! Site file text to items, with the line of every table and key, so that a later check can point at it.
//! Syntax, unknown keys, wrong types and missing `env:` values are found here; meaning is `check`'s business.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::items::{Item, Items, NumberItem, QueueItem, RouteItem, TrunkItem, UserItem};

/// One thing that is wrong, ready for a person. `line` is 0 when the item is not in this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    /// For example `queue.sales.members`.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A parsed site file.
#[derive(Clone, Debug, Default)]
pub struct SiteFile {
    pub items: Items,
    pub lines: Lines,
}

/// Where each table and each key stands.
#[derive(Clone, Debug, Default)]
pub struct Lines(HashMap<(String, String, String), usize>);

impl Lines {
    /// The line of `key` in item `name` of `kind`; the item's own line when the key is not written; 0 when neither is.
    pub fn of(&self, kind: &str, name: &str, key: &str) -> usize {
        let find = |key: &str| self.0.get(&(kind.to_string(), name.to_string(), key.to_string())).copied();
        find(key).or_else(|| find("")).unwrap_or(0)
    }

    /// Finds every table and key of `text`, and items that the file names twice.
    fn read(text: &str, items: &Items, problems: &mut Vec<Problem>) -> Lines {
        let mut lines = Lines::default();
        let Ok(document) = DeTable::parse(text) else { return lines };
        for (key, value) in document.get_ref() {
            lines.0.insert((String::new(), String::new(), key.get_ref().to_string()), line_at(text, key.span()));
            if let DeValue::Array(tables) = value.get_ref() {
                let kind = key.get_ref().to_string();
                for (index, table) in tables.iter().enumerate() {
                    let name = name_of(items, &kind, index);
                    let own_line = line_at(text, table.span());
                    if lines.0.insert((kind.clone(), name.clone(), String::new()), own_line).is_some() {
                        let message = format!("\"{name}\" stands here twice; keep one of them");
                        problems.push(Problem { line: own_line, key: format!("{kind}.{name}"), message });
                    }
                    if let DeValue::Table(keys) = table.get_ref() {
                        for (key, _) in keys {
                            let place = (kind.clone(), name.clone(), key.get_ref().to_string());
                            lines.0.insert(place, line_at(text, key.span()));
                        }
                    }
                }
            }
        }
        lines
    }
}

fn name_of(items: &Items, kind: &str, index: usize) -> String {
    fn nth<T: Item>(list: &[T], index: usize) -> String {
        list.get(index).map(|item| item.key().to_string()).unwrap_or_default()
    }
    match kind {
        UserItem::KIND => nth(&items.users, index),
        TrunkItem::KIND => nth(&items.trunks, index),
        QueueItem::KIND => nth(&items.queues, index),
        NumberItem::KIND => nth(&items.numbers, index),
        RouteItem::KIND => nth(&items.routes, index),
        _ => String::new(),
    }
}

/// Parses `text`. `env` answers `"env:NAME"` values.
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<SiteFile, Vec<Problem>> {
    let single = |line: usize, key: String, message: String| vec![Problem { line, key, message }];
    let mut value: toml::Value = toml::from_str::<toml::Table>(text)
        .map(toml::Value::Table)
        .map_err(|error| single(line_at(text, error.span().unwrap_or(0..0)), "syntax".into(), error.message().into()))?;

    // Types and keys are checked on the text itself, so that the error knows its line; `env:` values are strings there too.
    if let Err(error) = read_items(text) {
        let at = error.inner().span().unwrap_or(0..0);
        let is_env_value = text.get(at.clone()).is_some_and(|value| value.starts_with("\"env:"));
        if !is_env_value {
            return Err(single(line_at(text, at), error.path().to_string(), with_nearest_key(error.inner().message())));
        }
    }

    let mut problems = Vec::new();
    fill_from_env(&mut value, "", env, &mut problems);
    let items = match value.try_into::<Items>() {
        Ok(items) => items,
        Err(error) => return Err(single(0, "env".into(), error.message().into())),
    };
    let lines = Lines::read(text, &items, &mut problems);
    for problem in &mut problems {
        if problem.line == 0 {
            problem.line = line_of_text(text, &problem.message).unwrap_or(0);
        }
    }
    if problems.is_empty() { Ok(SiteFile { items, lines }) } else { Err(problems) }
}

fn read_items(text: &str) -> Result<Items, serde_path_to_error::Error<toml::de::Error>> {
    match toml::Deserializer::parse(text) {
        Ok(deserializer) => serde_path_to_error::deserialize(deserializer),
        // The caller has parsed the same text before, so this arm is not reached; an empty document is the honest value.
        Err(_) => Ok(Items::default()),
    }
}

/// Replaces every string `env:NAME` by the variable's value; a missing one is a problem.
fn fill_from_env(value: &mut toml::Value, path: &str, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    match value {
        toml::Value::String(text) => {
            let Some(name) = text.strip_prefix("env:") else { return };
            match env(name) {
                Some(found) => *value = typed(path, found),
                None => problems.push(Problem {
                    line: 0,
                    key: path.to_string(),
                    message: format!("\"env:{name}\": the environment has no {name}; set it before applying"),
                }),
            }
        }
        toml::Value::Array(list) => list.iter_mut().for_each(|value| fill_from_env(value, path, env, problems)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            fill_from_env(value, &path, env, problems);
        }),
        _ => {}
    }
}

/// Numbers and booleans from the environment come as text; these keys want them as what they are.
fn typed(path: &str, text: String) -> toml::Value {
    const TYPED: [&str; 8] =
        ["register", "options_seconds", "max_calls", "max_cps", "ring_seconds", "wrap_up_seconds", "answer", "record"];
    let key = path.rsplit('.').next().unwrap_or(path);
    if !TYPED.contains(&key) {
        return toml::Value::String(text);
    }
    match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) => toml::Value::Integer(number),
        (_, Ok(truth)) => toml::Value::Boolean(truth),
        _ => toml::Value::String(text),
    }
}

/// `unknown field `x`, expected one of `a`, `b`` gets the nearest of the expected ones.
fn with_nearest_key(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (true, Some((unknown, known))) = (message.starts_with("unknown field"), names.split_first()) else {
        return message.to_string();
    };
    match known.iter().max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b))) {
        Some(nearest) => format!("unknown key \"{unknown}\"; did you mean \"{nearest}\"?"),
        None => format!("unknown key \"{unknown}\"; this table takes none"),
    }
}

fn line_at(text: &str, span: Range<usize>) -> usize {
    1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

/// The line that holds the quoted `env:` value a message begins with.
fn line_of_text(text: &str, message: &str) -> Option<usize> {
    let value = message.split('"').nth(1)?;
    text.lines().position(|line| line.contains(value)).map(|index| index + 1)
}

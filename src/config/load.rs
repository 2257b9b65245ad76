//! Reading the configuration: the file's keys and the environment's variables are tried one by one against the shape of
//! `Config`, so that every mistake is found at once, with its place and a remedy. What values mean is `check`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::{Config, ConfigError, Problem};

const PREFIX: &str = "PEREZVON__";

/// Where each key that was written stands: `perezvon.toml:7` or `environment PEREZVON__SIP__BAN`.
pub(super) type Places = BTreeMap<String, String>;

/// Examples for keys whose default shows nothing: the value as the file writes it.
const EXAMPLES: [(&str, &str); 9] = [
    ("http.cert", "\"cert.pem\""),
    ("http.key", "\"key.pem\""),
    ("http.trusted_proxies", "[\"10.0.0.1/32\"]"),
    ("sip.tls", "[\"0.0.0.0:5061\"]"),
    ("sip.advertise", "\"203.0.113.7\""),
    ("rtp.advertise", "\"203.0.113.7\""),
    ("site.file", "\"site.toml\""),
    ("http.tls", "\"off\", \"self-signed\" or \"files\""),
    ("log.format", "\"text\" or \"json\""),
];

struct Reading {
    /// What the defaults are overridden with.
    values: toml::Table,
    places: Places,
    problems: Vec<Problem>,
    defaults: toml::Table,
}

/// What was read.
pub(super) struct Read {
    /// Without the keys in `problems`, which have their defaults here.
    pub(super) config: Config,
    pub(super) places: Places,
    pub(super) problems: Vec<Problem>,
    /// Relative paths start here.
    pub(super) folder: PathBuf,
}

/// The configuration of `file` and `environment`.
pub(super) fn read(file: Option<&Path>, environment: &[(String, String)]) -> Result<Read, ConfigError> {
    let mut folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut reading = Reading { values: toml::Table::new(), places: Places::new(), problems: Vec::new(), defaults };
    if let Some(path) = file {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
        reading.file(&name, &text)?;
        if let Some(parent) = path.parent() {
            folder = folder.join(parent);
        }
    }
    environment.iter().for_each(|(name, text)| reading.variable(name, text));
    let values = Value::Table(reading.values);
    let config = Config::deserialize(values).map_err(|trouble| {
        // Every key was tried alone before, so nothing is known that could lead here.
        let problem = Problem { place: "configuration".into(), key: String::new(), message: trouble.message().into() };
        ConfigError::Wrong(vec![problem])
    })?;
    Ok(Read { config, places: reading.places, problems: reading.problems, folder })
}

impl Reading {
    fn file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let document = DeTable::parse(text).map_err(|error| {
            let place = format!("{name}:{}", line_at(text, error.span().unwrap_or(0..0)));
            ConfigError::Wrong(vec![Problem { place, key: "syntax".into(), message: error.message().into() }])
        })?;
        // The same text as plain values; it was parsed a line ago.
        let values: toml::Table = toml::from_str(text).unwrap_or_default();
        let mut written: Vec<(Range<usize>, String, &Value)> = Vec::new();
        for (key, value) in document.get_ref() {
            let section = key.get_ref().as_ref();
            let is_section = self.defaults.get(section).is_some_and(Value::is_table);
            match (value.get_ref(), values.get(section)) {
                (DeValue::Table(keys), Some(Value::Table(values))) if is_section => {
                    let entry = |key: &Spanned<Cow<'_, str>>| {
                        let value = values.get(key.get_ref().as_ref())?;
                        Some((key.span(), format!("{section}.{}", key.get_ref()), value))
                    };
                    written.extend(keys.keys().filter_map(entry));
                }
                (_, Some(value)) => written.push((key.span(), section.to_owned(), value)),
                (_, None) => {}
            }
        }
        written.sort_by_key(|(span, ..)| span.start);
        for (span, key, value) in written {
            self.take(&key, value.clone(), format!("{name}:{}", line_at(text, span)));
        }
        Ok(())
    }

    /// Takes one value of the file if it fits.
    fn take(&mut self, key: &str, value: Value, place: String) {
        self.places.insert(key.to_owned(), place.clone());
        match fits(key, &value) {
            Ok(()) => self.put(key, value),
            Err(trouble) => {
                let message = self.remedy(key, &value, &trouble);
                self.problems.push(Problem { place, key: key.to_owned(), message });
            }
        }
    }

    /// A variable is a TOML value (a list, a number, `true`) or, where a text is wanted, the text without quotes.
    fn variable(&mut self, name: &str, text: &str) {
        let Some(path) = name.strip_prefix(PREFIX) else { return };
        let key = path.to_lowercase().replace("__", ".");
        let place = format!("environment {name}");
        let literal = toml::from_str::<toml::Table>(&format!("x = {text}")).ok().and_then(|mut table| table.remove("x"));
        let plain = Value::String(text.to_owned());
        let candidates = [literal, Some(plain.clone())];
        self.places.insert(key.clone(), place.clone());
        if let Some(value) = candidates.iter().flatten().find(|value| fits(&key, value).is_ok()) {
            return self.put(&key, value.clone());
        }
        let shown = candidates.into_iter().flatten().next().unwrap_or(plain);
        let trouble = fits(&key, &shown).err().unwrap_or_default();
        let mut message = self.remedy(&key, &shown, &trouble);
        if self.is_known(&key)
            && let Some(example) = self.example(&key)
        {
            let bare = || example.split('"').nth(1).unwrap_or(&example).to_owned();
            let quoted = if example.starts_with('[') { format!("'{example}'") } else { bare() };
            message.push_str(&format!("; in the environment: {name}={quoted}"));
        }
        self.problems.push(Problem { place, key, message });
    }

    fn put(&mut self, key: &str, value: Value) {
        match key.split_once('.') {
            None => drop(self.values.insert(key.to_owned(), value)),
            Some((section, key)) => {
                let section = self.values.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), value);
                }
            }
        }
    }

    fn is_known(&self, key: &str) -> bool {
        self.known_keys().iter().any(|known| known == key)
    }

    fn known_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = ["http.cert", "http.key"].map(String::from).to_vec();
        for (name, value) in &self.defaults {
            match value {
                Value::Table(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
                _ => keys.push(name.clone()),
            }
        }
        keys
    }

    /// How a right value looks in the file.
    fn example(&self, key: &str) -> Option<String> {
        if let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| *name == key) {
            return Some((*example).to_owned());
        }
        let value = match key.split_once('.') {
            None => self.defaults.get(key)?,
            Some((section, key)) => self.defaults.get(section)?.get(key)?,
        };
        Some(value.to_string())
    }

    /// What is wrong with `value` and what to write instead. `trouble` is serde's complaint.
    fn remedy(&self, key: &str, value: &Value, trouble: &str) -> String {
        if self.defaults.get(key).is_some_and(Value::is_table) {
            return format!("is a table; write [{key}] on a line of its own and its keys below");
        }
        if !self.is_known(key) {
            return self.did_you_mean(key);
        }
        let example = self.example(key).unwrap_or_default();
        if example.contains(" or ") {
            return format!("{} does not fit; write {example}", shown(value));
        }
        let wanted = match example.as_bytes().first() {
            Some(b'[') => "a list",
            Some(b'"') => "a text in quotes",
            Some(b't' | b'f') => "true or false",
            _ => "a whole number",
        };
        let shown = shown(value);
        match range_of(trouble) {
            Some((least, most)) => format!("{shown} is out of range; write {least} to {most}, for example {example}"),
            None => format!("{shown} does not fit; write {wanted}, for example {example}"),
        }
    }

    /// The same key in another table first, then the most similar key of the same table, then of all.
    fn did_you_mean(&self, key: &str) -> String {
        let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
        let known = self.known_keys();
        let elsewhere = known.iter().find(|known| known.rsplit('.').next() == Some(last));
        let likeness = |known: &str| {
            let bonus = if !section.is_empty() && known.starts_with(&format!("{section}.")) { 1.0 } else { 0.0 };
            bonus + strsim::jaro_winkler(known, key)
        };
        let nearest = elsewhere.or_else(|| known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))));
        nearest.map_or_else(|| "unknown key".into(), |nearest| format!("unknown key; did you mean {nearest}?"))
    }
}

/// Not more than a line of it.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Whether the configuration takes `value` under `key`; else serde's complaint.
fn fits(key: &str, value: &Value) -> Result<(), String> {
    let mut alone = value.clone();
    for part in key.rsplit('.') {
        alone = Value::Table(toml::Table::from_iter([(part.to_owned(), alone)]));
    }
    Config::deserialize(alone).map(drop).map_err(|error| error.message().to_owned())
}

/// The bounds of "invalid value: integer `70000`, expected u16".
fn range_of(trouble: &str) -> Option<(i64, i64)> {
    let wanted = trouble.strip_prefix("invalid value: integer ")?.rsplit(' ').next()?;
    match wanted {
        "u8" => Some((0, i64::from(u8::MAX))),
        "u16" => Some((0, i64::from(u16::MAX))),
        "u32" => Some((0, i64::from(u32::MAX))),
        "u64" | "usize" => Some((0, i64::MAX)),
        _ => None,
    }
}

fn line_at(text: &str, span: Range<usize>) -> usize {
    1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

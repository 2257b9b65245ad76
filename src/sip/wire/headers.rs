//! The headers of one message, in order, as text. `typed.rs` reads them as values; this file keeps, changes and writes.

use std::fmt::Display;

use super::{HeaderName, Text};

/// One header. List headers that matter one by one (Via, Route, Contact, …) are split into one `Header` an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    pub value: Text,
}

/// Headers in the order they stand in the message. A parsed message holds at most 256 lines of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    pub const fn new() -> Headers {
        Headers(Vec::new())
    }

    pub fn with_capacity(count: usize) -> Headers {
        Headers(Vec::with_capacity(count))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// The first value of that name.
    pub fn get(&self, name: &HeaderName) -> Option<&Text> {
        self.0.iter().find(|header| header.name == *name).map(|header| &header.value)
    }

    pub fn get_all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a Text> {
        self.0.iter().filter(move |header| header.name == *name).map(|header| &header.value)
    }

    pub fn has(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|header| header.name == *name)
    }

    /// Appends behind all others.
    pub fn push(&mut self, name: HeaderName, value: impl Into<Text>) {
        self.0.push(Header { name, value: value.into() });
    }

    /// Appends a typed value: `headers.push_value(HeaderName::From, &from)`.
    pub fn push_value(&mut self, name: HeaderName, value: &(impl Display + ?Sized)) {
        self.push(name, value.to_string());
    }

    /// Puts a header before the first of its name, or before all others: a new top Via, a Record-Route.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<Text>) {
        let place = self.0.iter().position(|header| header.name == name).unwrap_or(0);
        self.0.insert(place, Header { name, value: value.into() });
    }

    /// Makes this the only header of its name, in the place of the first.
    pub fn set(&mut self, name: HeaderName, value: impl Into<Text>) {
        let header = Header { name, value: value.into() };
        let Some(place) = self.0.iter().position(|own| own.name == header.name) else { return self.0.push(header) };
        let mut index = 0;
        self.0.retain(|own| {
            index += 1;
            index <= place + 1 || own.name != header.name
        });
        self.0[place] = header;
    }

    pub fn set_value(&mut self, name: HeaderName, value: &(impl Display + ?Sized)) {
        self.set(name, value.to_string());
    }

    /// Replaces the first value of that name and leaves the others: the top Via with `received`.
    pub fn set_first(&mut self, name: HeaderName, value: impl Into<Text>) {
        match self.0.iter_mut().find(|own| own.name == name) {
            Some(own) => own.value = value.into(),
            None => self.push(name, value),
        }
    }

    /// Takes the first header of that name off.
    pub fn remove_first(&mut self, name: &HeaderName) -> Option<Text> {
        let place = self.0.iter().position(|header| header.name == *name)?;
        Some(self.0.remove(place).value)
    }

    pub fn remove_all(&mut self, name: &HeaderName) {
        self.0.retain(|header| header.name != *name);
    }

    /// Appends every header of `from` that has this name.
    pub fn copy(&mut self, name: &HeaderName, from: &Headers) {
        self.0.extend(from.0.iter().filter(|header| header.name == *name).cloned());
    }

    /// Appends every header of `from` that has one of these names, name by name.
    pub fn extend_from(&mut self, from: &Headers, names: &[HeaderName]) {
        names.iter().for_each(|name| self.copy(name, from));
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Headers(headers.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(headers: &Headers) -> Vec<&str> {
        headers.iter().map(|header| header.value.as_str()).collect()
    }

    #[test]
    fn setting_keeps_the_place_of_the_first_and_drops_the_rest() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Via, "1");
        headers.push(HeaderName::To, "2");
        headers.push(HeaderName::Via, "3");
        headers.push(HeaderName::Via, "4");
        headers.set(HeaderName::Via, "5");
        assert_eq!(values(&headers), ["5", "2"]);
        headers.push_front(HeaderName::Via, "6");
        headers.push_front(HeaderName::Route, "7");
        assert_eq!(values(&headers), ["7", "6", "5", "2"]);
        headers.set_first(HeaderName::Via, "8");
        assert_eq!(headers.remove_first(&HeaderName::Via).as_deref(), Some("8"));
        assert_eq!(headers.get(&HeaderName::Via).map(Text::as_str), Some("5"));
    }
}

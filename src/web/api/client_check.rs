//! Whether what was written into a card can stand: numbers are read, texts and lists have limits, and every refusal names
//! the field at fault. The shapes come from `client_wish`.

use serde_json::{Map, Value};

use super::client_wish::{ClientPatch, EmailWish, NewClient, NumberWish};
use crate::site::Site;
use crate::store::{CardEmail, CardNumber, CardPatch, NewCard};
use crate::types::{AgentId, CardId, E164, NumberError};
use crate::web::error::{ApiError, words};

const TEXT_MAX_CHARS: usize = 200;
const ITEMS_MAX: usize = 50;
const FIELDS_MAX: usize = 200;
const FIELDS_MAX_BYTES: usize = 64 * 1024;

impl NewClient {
    pub fn check(self, id: CardId, site: &Site) -> Result<NewCard, ApiError> {
        Ok(NewCard {
            id,
            name: name(&self.name)?,
            company: optional("company", self.company)?,
            numbers: numbers(self.numbers, site)?,
            emails: emails(self.emails)?,
            source: optional("source", self.source)?,
            owner: owner(self.owner, site)?,
            tags: tags(self.tags)?,
            fields: fields(self.fields)?,
            language: language(self.language)?,
        })
    }
}

impl ClientPatch {
    pub fn check(self, site: &Site) -> Result<CardPatch, ApiError> {
        Ok(CardPatch {
            name: self.name.as_deref().map(name).transpose()?,
            company: self.company.map(|text| optional("company", text)).transpose()?,
            numbers: self.numbers.map(|wishes| numbers(wishes, site)).transpose()?,
            emails: self.emails.map(emails).transpose()?,
            source: self.source.map(|text| optional("source", text)).transpose()?,
            owner: self.owner.map(|login| owner(login, site)).transpose()?,
            tags: self.tags.map(tags).transpose()?,
            fields: self.fields.map(fields).transpose()?,
            language: self.language.map(language).transpose()?,
        })
    }
}

fn name(text: &str) -> Result<String, ApiError> {
    match text.trim() {
        "" => Err(ApiError::bad_field("name", words("Как зовут клиента?", "What is the client's name?"))),
        text => within("name", text),
    }
}

fn within(field: &str, text: &str) -> Result<String, ApiError> {
    match text.chars().count() <= TEXT_MAX_CHARS {
        true => Ok(text.to_string()),
        false => Err(ApiError::bad_field(field, words("Длиннее 200 знаков", "Longer than 200 characters"))),
    }
}

fn optional(field: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(|text| within(field, text)).transpose()
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), ApiError> {
    match count <= most {
        true => Ok(()),
        false => Err(ApiError::bad_field(field, words(format!("Больше {most}"), format!("More than {most}")))),
    }
}

fn numbers(wishes: Vec<NumberWish>, site: &Site) -> Result<Vec<CardNumber>, ApiError> {
    at_most("numbers", wishes.len(), ITEMS_MAX)?;
    let read = |(at, wish): (usize, NumberWish)| {
        let bad = |trouble: NumberError| {
            let said = match trouble {
                NumberError::Empty => words("В номере нет цифр", "The number has no digits"),
                NumberError::Short => words("Это не телефонный номер: не хватает цифр", "Not a phone number: digits are missing"),
                NumberError::TooLong => words("В номере больше 15 цифр", "The number has more than 15 digits"),
                NumberError::NotANumber => words("Это не телефонный номер", "Not a phone number"),
            };
            ApiError::bad_field(format!("numbers[{at}]"), said)
        };
        let (e164, extension) = E164::parse_with_extension(&wish.text, site.region).map_err(bad)?;
        let extension = wish.extension.filter(|extension| !extension.trim().is_empty()).or(extension);
        if extension
            .as_ref()
            .is_some_and(|extension| extension.len() > 11 || !extension.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(ApiError::bad_field(
                format!("numbers[{at}].extension"),
                words("Добавочный состоит из цифр", "An extension consists of digits"),
            ));
        }
        let kind = one_of(format!("numbers[{at}].kind"), wish.kind, &["main", "mobile", "work", "home", "fax", "other"])?;
        Ok(CardNumber { e164, kind, extension, is_shared: wish.is_shared.unwrap_or(false) })
    };
    wishes.into_iter().enumerate().map(read).collect()
}

fn emails(wishes: Vec<EmailWish>) -> Result<Vec<CardEmail>, ApiError> {
    at_most("emails", wishes.len(), ITEMS_MAX)?;
    let read = |(at, wish): (usize, EmailWish)| {
        let email = wish.email.trim();
        let has_ends =
            email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
        if !has_ends || email.len() > 254 || email.chars().any(char::is_whitespace) {
            return Err(ApiError::bad_field(format!("emails[{at}]"), words("Это не адрес почты", "Not a mail address")));
        }
        let kind = one_of(format!("emails[{at}].kind"), wish.kind, &["work", "home", "other"])?;
        Ok(CardEmail { email: email.to_string(), kind })
    };
    wishes.into_iter().enumerate().map(read).collect()
}

/// `other` when absent.
fn one_of(field: String, kind: Option<String>, known: &[&str]) -> Result<String, ApiError> {
    match kind {
        None => Ok("other".into()),
        Some(kind) if known.contains(&kind.as_str()) => Ok(kind),
        Some(_) => {
            let list = known.join(", ");
            Err(ApiError::bad_field(field, words(format!("Годится: {list}"), format!("Use one of: {list}"))))
        }
    }
}

fn owner(login: Option<AgentId>, site: &Site) -> Result<Option<AgentId>, ApiError> {
    match login {
        Some(login) if !site.users.contains_key(&login) => {
            Err(ApiError::bad_field("owner", words("Такого человека нет", "There is no such person")))
        }
        login => Ok(login),
    }
}

fn tags(tags: Vec<String>) -> Result<Vec<String>, ApiError> {
    at_most("tags", tags.len(), ITEMS_MAX)?;
    let mut kept: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        let tag = within("tags", tag)?;
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    Ok(kept)
}

fn fields(fields: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    at_most("fields", fields.len(), FIELDS_MAX)?;
    let bytes = serde_json::to_string(&fields).map_or(usize::MAX, |text| text.len());
    match bytes <= FIELDS_MAX_BYTES {
        true => Ok(fields),
        false => Err(ApiError::bad_field("fields", words("Больше 64 КиБ", "More than 64 KiB"))),
    }
}

fn language(tag: Option<String>) -> Result<Option<String>, ApiError> {
    match tag {
        Some(tag) if !(2..=8).contains(&tag.len()) || !tag.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') => {
            Err(ApiError::bad_field("language", words("Код языка: ru, en, …", "A language code: ru, en, …")))
        }
        tag => Ok(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::extract::parse_json;

    fn made(json: &str) -> Result<NewCard, ApiError> {
        parse_json::<NewClient>(json.as_bytes())?.check(CardId(uuid::Uuid::nil()), &Site::default())
    }

    #[test]
    fn numbers_are_taken_as_people_write_them() {
        let card =
            made(r#"{"name": " Анна ", "numbers": ["8 (495) 123-45-67 доб. 12", {"e164": "+79160000001", "kind": "mobile"}]}"#)
                .unwrap();
        assert_eq!(card.name, "Анна");
        let numbers: Vec<_> =
            card.numbers.iter().map(|n| (n.e164.as_string(), n.kind.as_str(), n.extension.as_deref())).collect();
        assert_eq!(numbers, [("+74951234567".into(), "other", Some("12")), ("+79160000001".into(), "mobile", None)]);
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (json, field) in [
            (r#"{"name": " "}"#, "name"),
            (r#"{"name": "A", "numbers": ["8 495 1"]}"#, "numbers[0]"),
            (r#"{"name": "A", "numbers": ["+79160000001", {"e164": "+79160000001", "kind": "x"}]}"#, "numbers[1].kind"),
            (r#"{"name": "A", "numbers": [{"e165": "1"}]}"#, "numbers[0].e165"),
            (r#"{"name": "A", "emails": ["nobody"]}"#, "emails[0]"),
            (r#"{"name": "A", "owner": "nobody"}"#, "owner"),
            (r#"{"name": "A", "language": "русский"}"#, "language"),
            (r#"{"name": "A", "nane": "B"}"#, "nane"),
        ] {
            assert_eq!(made(json).unwrap_err().field.as_deref(), Some(field), "{json}");
        }
    }

    #[test]
    fn null_in_a_patch_is_refused_by_name_where_it_means_nothing() {
        for field in ["name", "numbers", "phones", "emails", "tags", "fields"] {
            let trouble = parse_json::<ClientPatch>(format!("{{\"{field}\": null}}").as_bytes()).unwrap_err();
            assert_eq!((trouble.status.as_u16(), trouble.field.as_deref()), (422, Some(field)));
            assert!(trouble.words.ru.contains("null") && !trouble.words.ru.contains("expected"), "{}", trouble.words.ru);
        }
        for field in ["company", "source", "owner", "language"] {
            parse_json::<ClientPatch>(format!("{{\"{field}\": null}}").as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_patch_tells_null_from_absent() {
        let patch = parse_json::<ClientPatch>(br#"{"company": null, "tags": ["a", "a", " "]}"#).unwrap();
        let patch = patch.check(&Site::default()).unwrap();
        assert_eq!((patch.company, patch.source), (Some(None), None));
        assert_eq!(patch.tags, Some(vec!["a".into()]));
    }
}

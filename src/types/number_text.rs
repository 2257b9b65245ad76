//! Reads a phone number as people and carriers write it: `8 (495) 123-45-67 доб. 12`, `810 44 …`, `00…`, `+7…`.
//! It knows the dialling habits of a country, nothing of SIP (callers strip `tel:` and URI parameters) and of cards.
//! Called through `E164::parse` wherever text becomes a number: site file, caller, dialled number, import, search.

use super::{E164, NumberError, Region};

/// Longest text worth reading; a number with its extension and every separator is far shorter.
const MAX_TEXT_BYTES: usize = 128;
/// Longest extension we keep.
const MAX_EXTENSION_DIGITS: usize = 8;
/// What an extension is called, longest first, so that «добавочный» is not read as «доб» with a tail.
const EXTENSION_WORDS: [&str; 12] =
    [";ext=", "добавочный", "extension", "внутр.", "внутр", "доб.", "доб", "вн.", "extn", "ext.", "ext", "x"];

impl E164 {
    /// The public number in `text`; an extension behind it is accepted and ignored.
    pub fn parse(text: &str, region: Region) -> Result<E164, NumberError> {
        E164::parse_with_extension(text, region).map(|(number, _)| number)
    }

    /// The public number in `text` and the digits of its extension, when it names one.
    pub fn parse_with_extension(text: &str, region: Region) -> Result<(E164, Option<String>), NumberError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(NumberError::TooLong);
        }
        let text = text.trim_matches(is_invisible).to_lowercase();
        let (number, extension) = split_extension(&text);
        let number = read_number(&dialled_digits(number)?, region)?;
        let extension = extension.map(extension_digits).transpose()?.flatten();
        Ok((number, extension))
    }
}

/// What stands before and after the first word that announces an extension; without a word `#` or `,` does it too, but
/// only behind something, since `#31#` in front is a wish of the caller's phone.
fn split_extension(text: &str) -> (&str, Option<&str>) {
    let words = EXTENSION_WORDS.iter().filter_map(|word| text.find(word).map(|at| (at, word.len())));
    let word = words.filter(|(at, _)| *at > 0).min_by_key(|(at, length)| (*at, usize::MAX - length));
    let sign = || text.find(['#', ',']).filter(|at| *at > 0).map(|at| (at, 1));
    match word.or_else(sign) {
        Some((at, length)) => (text[..at].trim_end_matches([',', ';', ' ']), Some(&text[at + length..])),
        None => (text, None),
    }
}

fn extension_digits(text: &str) -> Result<Option<String>, NumberError> {
    let text = text.trim_start_matches(|c: char| is_separator(c) || matches!(c, ':' | '№' | '='));
    let mut digits = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if digits.len() < MAX_EXTENSION_DIGITS => digits.push(c),
            '0'..='9' => return Err(NumberError::TooLong),
            c if is_separator(c) => {}
            _ => return Err(NumberError::NotANumber),
        }
    }
    Ok(Some(digits).filter(|digits| !digits.is_empty()))
}

/// The digits of the number, with a plus in front where one stood.
fn dialled_digits(text: &str) -> Result<String, NumberError> {
    let mut digits = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() => digits.push('+'),
            c if is_separator(c) => {}
            _ => return Err(NumberError::NotANumber),
        }
    }
    match digits.trim_start_matches('+') {
        "" => Err(NumberError::Empty),
        // The longest legal prefix, 810, may stand before fifteen digits.
        bare if bare.len() > 18 => Err(NumberError::TooLong),
        _ => Ok(digits),
    }
}

/// What people put between digits: spaces of every width, dashes of every length, brackets, dots, slashes.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || is_invisible(c)
        || matches!(c, '-' | '(' | ')' | '.' | '/' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Zero-width and writing-direction marks that come along when a number is copied from a page.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn read_number(dialled: &str, region: Region) -> Result<E164, NumberError> {
    match dialled.strip_prefix('+') {
        Some(international) => read_international(international, region),
        None if region == Region::RU => read_russian(dialled),
        None => read_national(dialled, region),
    }
}

/// Digits that start with a country code.
fn read_international(digits: &str, region: Region) -> Result<E164, NumberError> {
    match digits.len() {
        0..=4 => return Err(NumberError::Short),
        16.. => return Err(NumberError::TooLong),
        // Country code 7 has one length only, so a digit lost or doubled can be told from a number.
        5..=10 if digits.starts_with('7') && region == Region::RU => return Err(NumberError::Short),
        12.. if digits.starts_with('7') && region == Region::RU => return Err(NumberError::TooLong),
        _ => {}
    }
    E164::from_digits(digits).ok_or(NumberError::NotANumber)
}

/// Russian dialling: 8 before a national number, 810 or 00 before a country code. National numbers have ten digits and
/// start with 3 to 9, so `810…` cannot be one.
fn read_russian(digits: &str) -> Result<E164, NumberError> {
    let is_national = |rest: &str| rest.len() == 10 && rest.starts_with(['3', '4', '5', '6', '7', '8', '9']);
    for prefix in ["810", "00"] {
        if let Some(rest) = digits.strip_prefix(prefix)
            && digits.len() >= 10
        {
            return read_international(rest, Region::RU);
        }
    }
    match digits.len() {
        0..=9 => Err(NumberError::Short),
        10 if is_national(digits) => E164::from_digits(&format!("7{digits}")).ok_or(NumberError::NotANumber),
        10 => Err(NumberError::NotANumber),
        11 if digits.starts_with('8') => match digits.get(1..) {
            Some(rest) if is_national(rest) => E164::from_digits(&format!("7{rest}")).ok_or(NumberError::NotANumber),
            _ => Err(NumberError::NotANumber),
        },
        // Carriers send country codes without a plus.
        _ => read_international(digits, Region::RU),
    }
}

/// Other countries by the tables of the `phonenumber` crate, which gets digits only. A number that is none in the
/// country is tried as an international one that lost its plus.
fn read_national(digits: &str, region: Region) -> Result<E164, NumberError> {
    if let Some(rest) = digits.strip_prefix("00") {
        return read_international(rest, region);
    }
    let valid = |country, text: &str| {
        let number = phonenumber::parse(country, text).ok().filter(phonenumber::is_valid)?;
        let plain = number.format().mode(phonenumber::Mode::E164).to_string();
        plain.strip_prefix('+').and_then(E164::from_digits)
    };
    let country = region.as_str().parse().ok();
    let national = country.and_then(|country| valid(Some(country), digits));
    match national.or_else(|| valid(None, &format!("+{digits}"))) {
        Some(number) => Ok(number),
        None if digits.len() <= 9 => Err(NumberError::Short),
        None if digits.len() > 15 => Err(NumberError::TooLong),
        None => Err(NumberError::NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, region: &str) -> Result<String, NumberError> {
        let region = Region::parse(region).expect("two capitals");
        let (number, extension) = E164::parse_with_extension(text, region)?;
        Ok(match extension {
            Some(extension) => format!("{} x{extension}", number.as_string()),
            None => number.as_string(),
        })
    }

    #[test]
    fn russian_ways_to_write_one_number_are_one_number() {
        for text in [
            "+74951234567",
            "84951234567",
            "8 (495) 123-45-67",
            "8-495-123-45-67",
            "+7 (495) 123 45 67",
            "7 495 123.45.67",
            "4951234567",
            "(495) 123–45–67",
            "8\u{a0}495\u{2009}123\u{2212}45\u{2011}67",
            "\u{202a}+7 495 123-45-67\u{202c}",
            "810 7 495 123 45 67",
            "007 495 1234567",
            "+7 495 123/45/67",
        ] {
            assert_eq!(read(text, "RU").as_deref(), Ok("+74951234567"), "{text}");
        }
    }

    #[test]
    fn extensions_are_told_from_the_number() {
        for text in [
            "8 (495) 123-45-67 доб. 12",
            "8 (495) 123-45-67 ДОБ 12",
            "84951234567доб.12",
            "8 495 123 45 67, добавочный 12",
            "8 495 123 45 67 (вн. 12)",
            "8 495 123 45 67 внутр.: 12",
            "+7 495 123-45-67 ext. 12",
            "+7 495 123-45-67 extension 12",
            "+74951234567;ext=12",
            "+74951234567 x12",
            "+74951234567#12",
            "+74951234567,12",
        ] {
            assert_eq!(read(text, "RU").as_deref(), Ok("+74951234567 x12"), "{text}");
        }
        assert_eq!(read("84951234567 доб.", "RU").as_deref(), Ok("+74951234567"));
        assert_eq!(read("84951234567 доб. сто", "RU"), Err(NumberError::NotANumber));
        assert_eq!(read("84951234567 доб. 123456789", "RU"), Err(NumberError::TooLong));
    }

    #[test]
    fn foreign_numbers_from_russia() {
        for (text, number) in [
            ("810 44 20 7946 0000", "+442079460000"),
            ("00442079460000", "+442079460000"),
            ("+44 20 7946 0000", "+442079460000"),
            ("442079460000", "+442079460000"),
            ("375291234567", "+375291234567"),
            ("810 375 29 123-45-67", "+375291234567"),
            ("+1 212 555 0100", "+12125550100"),
            ("12125550100", "+12125550100"),
            ("+8613800138000", "+8613800138000"),
            ("8-800-555-35-35", "+78005553535"),
            ("8 701 123 45 67", "+77011234567"),
        ] {
            assert_eq!(read(text, "RU").as_deref(), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_public_number_says_why() {
        use NumberError::*;
        for (text, error) in [
            ("", Empty),
            ("   ", Empty),
            ("+", Empty),
            ("()-", Empty),
            ("101", Short),
            ("112", Short),
            ("1234567", Short),
            ("810", Short),
            ("8101", Short),
            ("+7495", Short),
            ("+7495123456", Short),
            ("+749512345678", TooLong),
            ("84951234567890123", TooLong),
            ("+1234567890123456", TooLong),
            ("1234567890", NotANumber),
            ("8 123 456 78 90", NotANumber),
            ("+0951234567", NotANumber),
            ("anonymous", NotANumber),
            ("8-800-FLOWERS", NotANumber),
            ("84951234567 84951234568 a", NotANumber),
            ("7+4951234567", NotANumber),
            ("++74951234567", NotANumber),
            ("#31#84951234567", NotANumber),
            ("*98", NotANumber),
            ("٨٤٩٥١٢٣٤٥٦٧", NotANumber),
        ] {
            assert_eq!(read(text, "RU"), Err(error), "{text}");
        }
        assert_eq!(read(&"8".repeat(200), "RU"), Err(TooLong));
    }

    #[test]
    fn other_countries_have_their_own_habits() {
        for (text, region, number) in [
            ("020 7946 0000", "GB", "+442079460000"),
            ("0044 20 7946 0000", "DE", "+442079460000"),
            ("030 123456", "DE", "+4930123456"),
            ("(212) 736-5000", "US", "+12127365000"),
            ("1 212 736 5000 ext 5", "US", "+12127365000 x5"),
            ("8 701 123 45 67", "KZ", "+77011234567"),
            ("+7 495 123-45-67", "DE", "+74951234567"),
            ("74951234567", "DE", "+74951234567"),
            ("+74951234567", "ZZ", "+74951234567"),
        ] {
            assert_eq!(read(text, region).as_deref(), Ok(number), "{text} in {region}");
        }
        assert_eq!(read("101", "US"), Err(NumberError::Short));
        assert_eq!(read("911", "US"), Err(NumberError::Short));
    }

    #[test]
    fn a_masked_number_shows_its_ends_only() {
        let number = E164::parse("84951234567", Region::RU).unwrap();
        assert_eq!(number.to_string(), "+7495···67");
    }

    proptest! {
        #[test]
        fn no_text_panics_in_any_country(text in any::<String>(), region in "[A-Z]{2}") {
            let _ = E164::parse_with_extension(&text, Region::parse(&region).unwrap());
        }

        #[test]
        fn no_text_of_digits_and_signs_panics(text in "[0-9+() ,;#xдоб.ext=-]{0,40}", region in "RU|US|DE|IT|AR|BR|KZ|ZZ") {
            let _ = E164::parse_with_extension(&text, Region::parse(&region).unwrap());
        }

        #[test]
        fn a_normalised_number_stays_itself(digits in "[1-9][0-9]{10}") {
            let text = format!("+{digits}");
            let number = E164::parse(&text, Region::RU).unwrap();
            prop_assert_eq!(number.as_string(), text);
        }

        #[test]
        fn separators_change_nothing(groups in prop::collection::vec("[0-9]{1,3}", 4), separator in "[ .()/-]{1,2}") {
            let plain = format!("79{}", groups.concat());
            let written = format!("+7{separator}9{separator}{}", groups.join(&separator));
            prop_assert_eq!(E164::parse(&format!("+{plain}"), Region::RU), E164::parse(&written, Region::RU));
        }
    }
}

//! Which of our two languages a person reads: what their browser asks for, else the site's.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;

use crate::site::Language;

/// The heaviest of Russian and English in `Accept-Language` (RFC 9110 §12.5.4), the first at equal weight; `site` when it
/// names neither.
pub fn of_request(headers: &HeaderMap, site: Language) -> Language {
    let mut best: Option<(Language, f32)> = None;
    let values = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    for offer in values.flat_map(|value| value.split(',')) {
        let (tag, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = match weight.trim().strip_prefix("q=") {
            Some(text) => text.trim().parse::<f32>().unwrap_or(0.0),
            None => 1.0,
        };
        let language = match tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "ru" => Language::Ru,
            "en" => Language::En,
            _ => continue,
        };
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((language, weight));
        }
    }
    best.map_or(site, |(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_of_our_languages_wins_and_the_site_decides_the_rest() {
        for (asked, expected) in [
            ("ru-RU,ru;q=0.9,en-US;q=0.8", Language::Ru),
            ("de, en;q=0.5, ru;q=0.4", Language::En),
            ("en;q=0.4, ru;q=0.9", Language::Ru),
            ("ru;q=0, fr", Language::En),
            ("*", Language::En),
            ("", Language::En),
            ("ru;q=nonsense", Language::En),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, asked.parse().unwrap())]);
            assert_eq!(of_request(&headers, Language::En), expected, "{asked}");
        }
    }
}

//! Numbers in words, Russian and English, for what is said to callers: a position in the queue («двадцать первый»), a wait
//! in minutes. The words are the text for a voice, and the names of recorded words. Plain text in, plain text out.

use crate::types::Language;

/// The gender of what is counted, which «один» and «два» follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gender {
    /// «один», «два»: an operator, a call.
    Masculine,
    /// «одна», «две»: a minute, a line.
    Feminine,
}

const RU_ONES: [&str; 20] = [
    "ноль",
    "один",
    "два",
    "три",
    "четыре",
    "пять",
    "шесть",
    "семь",
    "восемь",
    "девять",
    "десять",
    "одиннадцать",
    "двенадцать",
    "тринадцать",
    "четырнадцать",
    "пятнадцать",
    "шестнадцать",
    "семнадцать",
    "восемнадцать",
    "девятнадцать",
];
const RU_TENS: [&str; 10] =
    ["", "", "двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто"];
const RU_HUNDREDS: [&str; 10] =
    ["", "сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот"];
const RU_ORDINAL_ONES: [&str; 20] = [
    "нулевой",
    "первый",
    "второй",
    "третий",
    "четвёртый",
    "пятый",
    "шестой",
    "седьмой",
    "восьмой",
    "девятый",
    "десятый",
    "одиннадцатый",
    "двенадцатый",
    "тринадцатый",
    "четырнадцатый",
    "пятнадцатый",
    "шестнадцатый",
    "семнадцатый",
    "восемнадцатый",
    "девятнадцатый",
];
const RU_ORDINAL_TENS: [&str; 10] =
    ["", "", "двадцатый", "тридцатый", "сороковой", "пятидесятый", "шестидесятый", "семидесятый", "восьмидесятый", "девяностый"];
const RU_ORDINAL_HUNDREDS: [&str; 10] =
    ["", "сотый", "двухсотый", "трёхсотый", "четырёхсотый", "пятисотый", "шестисотый", "семисотый", "восьмисотый", "девятисотый"];
const EN_ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const EN_TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const EN_ORDINAL_ONES: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
const EN_ORDINAL_TENS: [&str; 10] =
    ["", "", "twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"];

/// Larger numbers are said digit by digit: nobody waits behind a million.
const MOST: u32 = 999_999;

/// How many: «двадцать одна», "twenty-one". English knows no gender.
pub fn cardinal(number: u32, gender: Gender, language: Language) -> String {
    if number > MOST {
        return digits(number, language);
    }
    match language {
        Language::Ru => ru_cardinal(number, gender),
        Language::En => en_cardinal(number),
    }
}

/// Which one, masculine nominative: «двадцать первый», "twenty-first".
pub fn ordinal(number: u32, language: Language) -> String {
    if number > MOST {
        return digits(number, language);
    }
    match language {
        Language::Ru => ru_ordinal(number),
        Language::En => en_ordinal(number),
    }
}

/// The form of a counted Russian noun: `[минута, минуты, минут]`; English counts one and the rest, `[minute, minutes, minutes]`.
pub fn counted(number: u32, forms: [&str; 3], language: Language) -> &str {
    let form = match language {
        Language::En => usize::from(number != 1),
        Language::Ru => match (number % 100, number % 10) {
            (11..=14, _) => 2,
            (_, 1) => 0,
            (_, 2..=4) => 1,
            _ => 2,
        },
    };
    forms[form]
}

/// «Вы двадцать первый в очереди.»
pub fn place_in_queue(place: u32, language: Language) -> String {
    match language {
        Language::Ru => format!("Вы {} в очереди.", ordinal(place, language)),
        Language::En => format!("You are {} in line.", ordinal(place, language)),
    }
}

/// «Примерное время ожидания: две минуты.» Less than a minute is said so.
pub fn expected_wait(minutes: u32, language: Language) -> String {
    let how_long = match (minutes, language) {
        (0, Language::Ru) => "меньше минуты".to_owned(),
        (0, Language::En) => "less than a minute".to_owned(),
        (_, Language::Ru) => {
            format!(
                "{} {}",
                cardinal(minutes, Gender::Feminine, language),
                counted(minutes, ["минута", "минуты", "минут"], language)
            )
        }
        (_, Language::En) => {
            format!(
                "{} {}",
                cardinal(minutes, Gender::Masculine, language),
                counted(minutes, ["minute", "minutes", "minutes"], language)
            )
        }
    };
    match language {
        Language::Ru => format!("Примерное время ожидания: {how_long}."),
        Language::En => format!("The expected wait is {how_long}."),
    }
}

fn digits(number: u32, language: Language) -> String {
    let ones = match language {
        Language::Ru => &RU_ONES,
        Language::En => &EN_ONES,
    };
    let words = number.to_string().bytes().map(|digit| word(ones, u32::from(digit - b'0'))).collect::<Vec<_>>();
    words.join(" ")
}

fn word(words: &'static [&'static str], index: u32) -> &'static str {
    words.get(index as usize).copied().unwrap_or_default()
}

fn ru_cardinal(number: u32, gender: Gender) -> String {
    if number >= 1000 {
        let thousands = number / 1000;
        let forms = ["тысяча", "тысячи", "тысяч"];
        // A single thousand is said without «одна».
        let count = if thousands == 1 { String::new() } else { ru_cardinal(thousands, Gender::Feminine) + " " };
        let head = count + counted(thousands, forms, Language::Ru);
        return if number.is_multiple_of(1000) { head } else { format!("{head} {}", ru_cardinal(number % 1000, gender)) };
    }
    let mut words = Vec::new();
    if number >= 100 {
        words.push(word(&RU_HUNDREDS, number / 100));
    }
    let rest = number % 100;
    if rest >= 20 {
        words.push(word(&RU_TENS, rest / 10));
    }
    let ones = if rest >= 20 { rest % 10 } else { rest };
    if ones > 0 || number == 0 {
        words.push(match (ones, gender) {
            (1, Gender::Feminine) => "одна",
            (2, Gender::Feminine) => "две",
            _ => word(&RU_ONES, ones),
        });
    }
    words.join(" ")
}

fn ru_ordinal(number: u32) -> String {
    let (above, last) = split_for_ordinal(number);
    let end = match last {
        1000.. => {
            let thousands = last / 1000;
            let count = if thousands == 1 { String::new() } else { ru_thousandth(thousands) };
            return count + "тысячный";
        }
        100.. => word(&RU_ORDINAL_HUNDREDS, last / 100),
        20.. => word(&RU_ORDINAL_TENS, last / 10),
        _ => word(&RU_ORDINAL_ONES, last),
    };
    if above == 0 { end.to_owned() } else { format!("{} {end}", ru_cardinal(above, Gender::Masculine)) }
}

/// «двух», «пяти», «двадцати»: the genitive before «тысячный», written in one word.
fn ru_thousandth(thousands: u32) -> String {
    const ONES: [&str; 20] = [
        "",
        "одно",
        "двух",
        "трёх",
        "четырёх",
        "пяти",
        "шести",
        "семи",
        "восьми",
        "девяти",
        "десяти",
        "одиннадцати",
        "двенадцати",
        "тринадцати",
        "четырнадцати",
        "пятнадцати",
        "шестнадцати",
        "семнадцати",
        "восемнадцати",
        "девятнадцати",
    ];
    const TENS: [&str; 10] =
        ["", "", "двадцати", "тридцати", "сорока", "пятидесяти", "шестидесяти", "семидесяти", "восьмидесяти", "девяносто"];
    const HUNDREDS: [&str; 10] =
        ["", "сто", "двухсот", "трёхсот", "четырёхсот", "пятисот", "шестисот", "семисот", "восьмисот", "девятисот"];
    let rest = thousands % 100;
    let tens = if rest >= 20 { word(&TENS, rest / 10) } else { "" };
    let ones = if rest >= 20 { rest % 10 } else { rest };
    format!("{}{tens}{}", word(&HUNDREDS, thousands / 100), word(&ONES, ones))
}

fn en_cardinal(number: u32) -> String {
    match number {
        1000.. => {
            let head = format!("{} thousand", en_cardinal(number / 1000));
            if number.is_multiple_of(1000) { head } else { format!("{head} {}", en_cardinal(number % 1000)) }
        }
        100.. => {
            let head = format!("{} hundred", word(&EN_ONES, number / 100));
            if number.is_multiple_of(100) { head } else { format!("{head} and {}", en_cardinal(number % 100)) }
        }
        20.. if !number.is_multiple_of(10) => format!("{}-{}", word(&EN_TENS, number / 10), word(&EN_ONES, number % 10)),
        20.. => word(&EN_TENS, number / 10).to_owned(),
        _ => word(&EN_ONES, number).to_owned(),
    }
}

fn en_ordinal(number: u32) -> String {
    match number {
        1000.. if number.is_multiple_of(1000) => format!("{} thousandth", en_cardinal(number / 1000)),
        1000.. => format!("{} thousand {}", en_cardinal(number / 1000), en_ordinal(number % 1000)),
        100.. if number.is_multiple_of(100) => format!("{} hundredth", word(&EN_ONES, number / 100)),
        100.. => format!("{} hundred and {}", word(&EN_ONES, number / 100), en_ordinal(number % 100)),
        20.. if !number.is_multiple_of(10) => format!("{}-{}", word(&EN_TENS, number / 10), word(&EN_ORDINAL_ONES, number % 10)),
        20.. => word(&EN_ORDINAL_TENS, number / 10).to_owned(),
        _ => word(&EN_ORDINAL_ONES, number).to_owned(),
    }
}

/// A number as what is said as it is and the part that takes the ending: 1,021 = 1,020 + 1; 2,000 = 0 + 2,000.
fn split_for_ordinal(number: u32) -> (u32, u32) {
    let last = match number {
        0 => 0,
        _ if number.is_multiple_of(1000) => number,
        _ if number.is_multiple_of(100) => number % 1000,
        _ if number % 100 < 20 => number % 100,
        _ if number.is_multiple_of(10) => number % 100,
        _ => number % 10,
    };
    (number - last, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_said_as_people_say_them() {
        let said = [
            (1, "первый", "first"),
            (3, "третий", "third"),
            (11, "одиннадцатый", "eleventh"),
            (20, "двадцатый", "twentieth"),
            (21, "двадцать первый", "twenty-first"),
            (40, "сороковой", "fortieth"),
            (99, "девяносто девятый", "ninety-ninth"),
            (100, "сотый", "one hundredth"),
            (112, "сто двенадцатый", "one hundred and twelfth"),
            (230, "двести тридцатый", "two hundred and thirtieth"),
            (300, "трёхсотый", "three hundredth"),
            (1000, "тысячный", "one thousandth"),
            (1001, "тысяча первый", "one thousand first"),
            (2000, "двухтысячный", "two thousandth"),
            (25_000, "двадцатипятитысячный", "twenty-five thousandth"),
            (2300, "две тысячи трёхсотый", "two thousand three hundredth"),
        ];
        for (number, russian, english) in said {
            assert_eq!((ordinal(number, Language::Ru).as_str(), ordinal(number, Language::En).as_str()), (russian, english));
        }
    }

    #[test]
    fn counts_agree_with_their_noun() {
        let waits = [
            (0, "меньше минуты", "less than a minute"),
            (1, "одна минута", "one minute"),
            (2, "две минуты", "two minutes"),
            (5, "пять минут", "five minutes"),
            (11, "одиннадцать минут", "eleven minutes"),
            (21, "двадцать одна минута", "twenty-one minutes"),
            (112, "сто двенадцать минут", "one hundred and twelve minutes"),
        ];
        for (minutes, russian, english) in waits {
            assert_eq!(expected_wait(minutes, Language::Ru), format!("Примерное время ожидания: {russian}."));
            assert_eq!(expected_wait(minutes, Language::En), format!("The expected wait is {english}."));
        }
        assert_eq!(cardinal(2001, Gender::Masculine, Language::Ru), "две тысячи один");
        assert_eq!(cardinal(1_234_567, Gender::Masculine, Language::En), "one two three four five six seven");
        assert_eq!(place_in_queue(21, Language::Ru), "Вы двадцать первый в очереди.");
    }

    #[test]
    fn every_number_is_said_in_words_and_differs_from_its_neighbour() {
        for language in [Language::Ru, Language::En] {
            let mut before = [String::new(), String::new()];
            for number in (0..3000).chain((3000..=MOST).step_by(7919)) {
                let now = [cardinal(number, Gender::Masculine, language), ordinal(number, language)];
                for text in &now {
                    assert!(!text.is_empty() && text.trim() == text && !text.contains("  "), "{number}: {text:?}");
                }
                assert!(now[0] != before[0] && now[1] != before[1], "{number}");
                before = now;
            }
        }
    }
}

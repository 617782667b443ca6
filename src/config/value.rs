//! The grammars of arguments: words, options, flags, numbers, networks.
//!
//! A value of the wrong type is an error here, where mod_wsgi reads `abc` as 0 and `5s` as 5.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Octets for a message.
pub(crate) fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets)
}

/// The arguments of a directive, taken one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments<'a> {
    rest: &'a [u8],
}

/// An argument is not of the form `name=value`; it holds what stands there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoOption(pub(crate) String);

impl<'a> Arguments<'a> {
    /// All that follows the directive's name on its line.
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw.trim_ascii_start() }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next word as `ap_getword_conf` reads it: up to a blank, or within quotes of either kind, where a backslash keeps the quote.
    /// A quote that is not closed ends with the line, as it does for httpd.
    pub(crate) fn word(&mut self) -> Option<Vec<u8>> {
        let (&first, quoted) = self.rest.split_first()?;
        let quote = matches!(first, b'"' | b'\'').then_some(first);
        let mut octets = if quote.is_some() { quoted } else { self.rest };
        let mut word = Vec::new();
        while let Some((&octet, after)) = octets.split_first() {
            octets = after;
            let next = after.first().copied();
            if octet == b'\\' && next.is_some() && (next == Some(b'\\') || (quote.is_some() && next == quote)) {
                word.extend(next);
                octets = &after[1..];
            } else if Some(octet) == quote || (quote.is_none() && octet.is_ascii_whitespace()) {
                break;
            } else {
                word.push(octet);
            }
        }
        self.rest = octets.trim_ascii_start();
        Some(word)
    }

    /// The next option. The name reaches to the first `=`, without a blank; the value is a word, which may be quoted.
    pub(crate) fn option(&mut self) -> Option<Result<(String, Vec<u8>), NoOption>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|octet| *octet == b'=' || octet.is_ascii_whitespace());
        match end {
            Some(end) if end > 0 && self.rest[end] == b'=' => {
                let name = text(&self.rest[..end]).into_owned();
                self.rest = self.rest[end + 1..].trim_ascii_start();
                Some(Ok((name, self.word().unwrap_or_default())))
            }
            _ => Some(Err(NoOption(self.word().map(|word| text(&word).into_owned()).unwrap_or_default()))),
        }
    }
}

/// `On` or `Off`, in any case.
pub(crate) fn flag(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Some(true),
        b"off" => Some(false),
        _ => None,
    }
}

/// A value is not what it should be; the text says what that is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not {0}")]
pub(crate) struct NotA(pub(crate) String);

/// A whole decimal number within a range.
pub(crate) fn integer(value: &[u8], range: RangeInclusive<i64>) -> Result<i64, NotA> {
    let number = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        NotA(match (*range.start(), *range.end()) {
            (i64::MIN, i64::MAX) => "a whole number".to_owned(),
            (start, i64::MAX) => format!("a whole number from {start} on"),
            (start, end) => format!("a whole number from {start} to {end}"),
        })
    })
}

/// A decimal number, finite, of which `accept` says whether it is in range; `what` describes that range.
pub(crate) fn number(value: &[u8], accept: fn(f64) -> bool, what: &str) -> Result<f64, NotA> {
    let number = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse::<f64>().ok());
    number.filter(|number| number.is_finite() && accept(*number)).ok_or_else(|| NotA(what.to_owned()))
}

/// A colon-separated list of directories; empty entries are dropped.
pub(crate) fn path_list(value: &[u8]) -> Vec<Vec<u8>> {
    value.split(|octet| *octet == b':').filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
}

/// An address with the number of leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The address, its other bits zero.
    pub(crate) address: IpAddr,
    /// How many bits count.
    pub(crate) prefix: u8,
}

/// Text is no network; the sentence says why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// Neither an IPv4 nor an IPv6 address.
    #[error("'{0}' is no IP address: write addresses such as 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32, not host names")]
    Address(String),
    /// The mask is neither a number of bits nor a mask.
    #[error("'{0}' is no number of bits from 0 to {1}, nor a net mask")]
    Mask(String, u8),
}

impl Network {
    /// Reads `address`, `address/bits` or `address/mask`. An IPv4 address may be cut short: `10.1` is `10.1.0.0/16`.
    pub(crate) fn parse(word: &str) -> Result<Self, NetworkError> {
        let (address, mask) = word.split_once('/').map_or((word, None), |(address, mask)| (address, Some(mask)));
        let no_address = || NetworkError::Address(word.to_owned());
        let (address, bits) = match address.parse::<IpAddr>() {
            Ok(address @ IpAddr::V4(_)) => (address, 32),
            Ok(address @ IpAddr::V6(_)) => (address, 128),
            Err(_) => short_ipv4(address).ok_or_else(no_address)?,
        };
        let limit = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match mask {
            None => bits,
            Some(mask) => prefix_of(mask, limit).ok_or_else(|| NetworkError::Mask(mask.to_owned(), limit))?,
        };
        Ok(Self { address: cut(address, prefix), prefix })
    }

    /// Whether `address` belongs to the network; an IPv4 address written as IPv6 counts as what it is.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && cut(address, self.prefix) == self.address
    }
}

/// One to three numbers of an IPv4 address, and how many bits they are.
fn short_ipv4(text: &str) -> Option<(IpAddr, u8)> {
    let numbers = text.strip_suffix('.').unwrap_or(text).split('.').map(str::parse).collect::<Result<Vec<u8>, _>>().ok()?;
    let mut octets = [0; 4];
    octets.get_mut(..numbers.len()).filter(|slots| slots.len() < 4)?.copy_from_slice(&numbers);
    Some((IpAddr::from(octets), u8::try_from(numbers.len() * 8).ok()?))
}

/// The bits of a mask, written as their number or as an IPv4 mask without gaps.
fn prefix_of(mask: &str, limit: u8) -> Option<u8> {
    if let Ok(bits) = mask.parse::<u8>() {
        return (bits <= limit).then_some(bits);
    }
    let mask = u32::from(mask.parse::<std::net::Ipv4Addr>().ok().filter(|_| limit == 32)?);
    let bits = mask.leading_ones();
    (mask.count_ones() == bits).then(|| u8::try_from(bits).expect("at most 32"))
}

/// The address with all but the first `prefix` bits zero.
fn cut(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::from((u32::from(address) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).to_be_bytes()),
        IpAddr::V6(address) => {
            IpAddr::from((u128::from(address) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(raw: &str) -> Vec<String> {
        let mut arguments = Arguments::new(raw.as_bytes());
        std::iter::from_fn(|| arguments.word()).map(|word| text(&word).into_owned()).collect()
    }

    #[test]
    fn words_are_split_as_httpd_splits_them() {
        assert_eq!(words("  a  'b c'\t\"d \\\" e\" f\\\\g h\"i"), ["a", "b c", "d \" e", "f\\g", "h\"i"]);
        assert_eq!(words("\"a\"b 'open end"), ["a", "b", "open end"]);
        assert_eq!(words("a\\ b '' c\\"), ["a\\", "b", "", "c\\"]);
        assert!(words(" \t").is_empty());
    }

    #[test]
    fn an_options_value_is_a_quoted_word_of_its_own() {
        let mut arguments = Arguments::new(b"home=/srv display-name='a b=c' lang= x=1 =5");
        let mut next = || arguments.option().map(|option| option.map(|(name, value)| (name, text(&value).into_owned())));
        let pair = |name: &str, value: &str| Some(Ok((name.to_owned(), value.to_owned())));
        assert_eq!(next(), pair("home", "/srv"));
        assert_eq!(next(), pair("display-name", "a b=c"));
        assert_eq!(next(), pair("lang", "x=1"), "as mod_wsgi: blanks after the sign are skipped");
        assert_eq!(next(), Some(Err(NoOption("=5".to_owned()))));
        assert_eq!(next(), None);
        assert_eq!(Arguments::new(b"threads =5").option(), Some(Err(NoOption("threads".to_owned()))));
    }

    #[test]
    fn an_integer_is_whole_and_in_range() {
        assert_eq!(integer(b" 15 ", 0..=20), Ok(15));
        assert_eq!(integer(b"-3", i64::MIN..=i64::MAX), Ok(-3));
        for wrong in ["abc", "", "1.5", "5s", "21", "-1", "0x5"] {
            assert_eq!(integer(wrong.as_bytes(), 0..=20), Err(NotA("a whole number from 0 to 20".to_owned())), "{wrong}");
        }
        assert_eq!(integer(b"0", 1..=i64::MAX).expect_err("refused").to_string(), "is not a whole number from 1 on");
    }

    #[test]
    fn a_number_is_finite() {
        assert_eq!(number(b"0.005", |n| n > 0.0, "positive"), Ok(0.005));
        for wrong in ["inf", "NaN", "0", "1s", ""] {
            assert!(number(wrong.as_bytes(), |n| n > 0.0, "positive").is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_have_two_words() {
        assert_eq!([flag(b"ON"), flag(b"oFF"), flag(b"true"), flag(b"")], [Some(true), Some(false), None, None]);
    }

    #[test]
    fn networks_contain_their_addresses() {
        let contains =
            |network: &str, address: &str| Network::parse(network).expect("a network").contains(address.parse().expect("an address"));
        assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.2"));
        assert!(contains("10.1.2.3/16", "10.1.255.255") && !contains("10.1.2.3/16", "10.2.0.0"));
        assert!(contains("192.168.0.0/255.255.0.0", "192.168.9.9"));
        assert!(contains("10.1", "10.1.7.7") && contains("10.", "10.9.9.9"));
        assert!(contains("2001:db8::/32", "2001:db8:1::5") && !contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && contains("::/0", "::1") && !contains("::/0", "8.8.8.8"));
        assert!(contains("127.0.0.1", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_says_why() {
        for wrong in ["proxy.example.com", "10.0.0.256", "", "1.2.3.4.5", "2001:zz::"] {
            assert!(matches!(Network::parse(wrong), Err(NetworkError::Address(_))), "{wrong}");
        }
        for wrong in ["10.0.0.0/33", "10.0.0.0/255.0.255.0", "::1/129", "::1/255.0.0.0", "10.0.0.0/"] {
            assert!(matches!(Network::parse(wrong), Err(NetworkError::Mask(..))), "{wrong}");
        }
    }
}

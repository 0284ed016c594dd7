//! Where a visitor goes on, as far as a form or a header may say.

/// The longest address that is gone back to, in bytes.
const LONGEST: usize = 2_048;

/// An address within the site, as a form says where to go; the start page, if it
/// leads elsewhere.
pub(crate) fn local(address: &str) -> &str {
    let is_local = address.len() <= LONGEST
        && address.starts_with('/')
        && !address.starts_with("//")
        && address
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn an_address_elsewhere_leads_to_the_start_page() {
        for address in ["/", "/lists?after=1", "/lists/x/active"] {
            assert_eq!(local(address), address);
        }
        for address in [
            "",
            "lists",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "https://evil.test/",
            "/a\nb",
            "/ä",
            &format!("/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(local(address), "/", "{address}");
        }
    }
}

//! The address to which a visitor returns, as a form or a header names it.

/// The maximum length of such an address, in bytes.
const LONGEST: usize = 2_048;

/// Returns the address if it is within the site, and otherwise the start page.
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
    fn address_outside_the_site_leads_to_the_start_page() {
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

//! Additional certificate origins, for development.

/// An origin that a development setting allows, with the path up to the file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentOrigin(String);

impl DevelopmentOrigin {
    /// Parses a URL like `http://localhost:4566/_aws/sns/`: a scheme, a host and a folder, without userinfo, query or fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/');
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        let is_host = !host.is_empty() && !host.starts_with([':', '.']);
        (is_host && rest.bytes().all(is_plain) && !rest.contains(".."))
            .then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// As written, without the last slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rest of `url` after this origin and one slash, if it begins with them.
    pub(super) fn file_of<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_origin_is_scheme_host_and_folder() {
        for text in ["http://localhost:4566", "https://sns.test/a/b/"] {
            assert!(DevelopmentOrigin::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "localhost:4566", "http://", "http:///x", "http://u@h/", "http://h/?q", "http://h/a/../b", "ftp://h/"]
        {
            assert_eq!(DevelopmentOrigin::parse(text), None, "{text}");
        }
    }
}

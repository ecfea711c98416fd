/// What is wrong with the URL of a peer.
pub(crate) fn url_error(url: &str) -> Option<&'static str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if !matches!(scheme, "http" | "https" | "unix" | "unixs") {
        return Some("URL scheme must be http, https, unix, or unixs");
    }
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if !host.contains(':') {
        return Some("URL address does not have the form \"host:port\"");
    }
    (!path.is_empty()).then_some("URL must not contain a path")
}

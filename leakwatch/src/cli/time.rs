//! How long something takes, as it is typed everywhere: 500ms, 2s, 1m30s; a bare number is seconds.

use std::time::Duration;

/// Reads it; what it may be is for who asked to say.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

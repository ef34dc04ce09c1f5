//! Names of users, from the host's user database.

use std::{collections::HashMap, sync::Arc};

use crate::model::sanitize;

/// Names by id, from the text of `/etc/passwd`.
pub fn parse(passwd: &str) -> HashMap<u32, Arc<str>> {
    passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((
                fields.nth(1)?.parse().ok()?,
                sanitize::text(name.as_bytes()).into(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_and_names() {
        let users =
            super::parse("root:x:0:0:root:/root:/bin/bash\n# comment\nwww-data:x:33:33::/:\nbroken\n");
        assert_eq!(users.get(&0).map(AsRef::as_ref), Some("root"));
        assert_eq!(users.get(&33).map(AsRef::as_ref), Some("www-data"));
        assert_eq!(users.len(), 2);
    }
}

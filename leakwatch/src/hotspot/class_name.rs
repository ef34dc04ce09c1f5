//! Names of classes as Java writes them.

use crate::model::sanitize;

/// `[Ljava/lang/String;` is `java.lang.String[]`; `None` when it is no name of a class. A hidden class has an address in
/// its name (`A$$Lambda+0x00007f…`), which is left out: its other names are the same everywhere.
pub(crate) fn java_name(symbol: &[u8]) -> Option<String> {
    let text = str::from_utf8(symbol).ok()?;
    let element = text.trim_start_matches('[');
    let dimensions = text.len() - element.len();
    let element = match (dimensions, element) {
        (0, name) => name,
        (_, "Z") => "boolean",
        (_, "B") => "byte",
        (_, "C") => "char",
        (_, "D") => "double",
        (_, "F") => "float",
        (_, "I") => "int",
        (_, "J") => "long",
        (_, "S") => "short",
        (_, name) => name.strip_prefix('L')?.strip_suffix(';').unwrap_or(name),
    };
    if element.is_empty() || element.contains(|c: char| c.is_ascii_control() || ";[ ".contains(c)) {
        return None;
    }
    let element = element.split("+0x").next().unwrap_or(element);
    let element = element.split("/0x").next().unwrap_or(element);
    let element = sanitize::text(element.replace('/', ".").as_bytes());
    Some(element + &"[]".repeat(dimensions.min(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_java_writes_them() {
        for (symbol, name) in [
            ("LeakS$Session", Some("LeakS$Session")),
            ("java/lang/String", Some("java.lang.String")),
            ("[B", Some("byte[]")),
            ("[[I", Some("int[][]")),
            ("[Ljava/lang/Object;", Some("java.lang.Object[]")),
            ("A$$Lambda+0x00007f1234", Some("A$$Lambda")),
            ("A$$Lambda$14/0x0000000800c03218", Some("A$$Lambda$14")),
            ("[LA$$Lambda+0x00007f1234;", Some("A$$Lambda[]")),
            ("[Q", None),
            ("", None),
            ("[", None),
            ("a b", None),
        ] {
            assert_eq!(java_name(symbol.as_bytes()).as_deref(), name, "{symbol}");
        }
    }
}

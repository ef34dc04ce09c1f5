//! Names of types as a census of .NET spells them.

/// A runtime tells what a generic type is made of, a census does not: `` List`1[Order][] `` is `` List`1[] ``.
pub(super) fn without_arguments(told: &str) -> String {
    let Some(open) = told.find('[') else {
        return told.to_owned();
    };
    let (name, mut rest) = told.split_at(open);
    let mut spelled = name.to_owned();
    while let Some(end) = closing(rest) {
        let (brackets, behind) = rest.split_at(end + 1);
        // Of an array of more than one dimension there are commas in them.
        if brackets[1..end].bytes().all(|byte| byte == b',') {
            spelled.push_str("[]");
        }
        rest = behind;
    }
    spelled + rest
}

/// Where the bracket is that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return Some(at),
            b']' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::without_arguments;

    #[test]
    fn arguments_are_left_out_and_arrays_are_not() {
        for (told, spelled) in [
            ("Shop.Order", "Shop.Order"),
            ("Price[]", "Price[]"),
            ("Order[][]", "Order[][]"),
            ("System.String[,]", "System.String[]"),
            ("Slot[System.String]", "Slot"),
            ("Map`2[A[],List`1[B]][]", "Map`2[]"),
            ("Map`2[[A, core],[B, core]]", "Map`2"),
            ("Ort[ü]", "Ort"),
            ("", ""),
            ("a[", "a["),
            ("a[]]", "a[]]"),
            ("a]", "a]"),
            ("System.Char[]*", "System.Char[]*"),
        ] {
            assert_eq!(without_arguments(told), spelled, "{told}");
        }
    }
}

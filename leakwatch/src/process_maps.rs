//! Lines of `/proc/PID/maps`.

/// Most bytes of it that are read. 65,530 mappings, the kernel's default limit, have about 6 MiB.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapsLine<'a> {
    /// First byte.
    pub(crate) start: u64,
    /// First byte after it.
    pub(crate) end: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    /// Offset of the first byte in the file.
    pub(crate) offset: u64,
    /// 0 for what is no file.
    pub(crate) inode: u64,
    /// Path as the kernel shows it, `[heap]`, `[stack]`, or empty. A path is its owner's choice: nothing in it is replaced.
    pub(crate) name: &'a [u8],
}

impl<'a> MapsLine<'a> {
    /// `start-end perms offset major:minor inode path`, without the end of the line; `None` for what is none.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            let (field, tail) = rest.split_at(end);
            rest = tail.trim_ascii_start();
            str::from_utf8(field).ok()
        };
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let (start, end) = field()?.split_once('-')?;
        let (start, end) = (hex(start)?, hex(end)?);
        let may = field()?.as_bytes();
        let offset = hex(field()?)?;
        field()?;
        let inode = field()?.parse().ok()?;
        (start < end).then_some(Self {
            start,
            end,
            readable: may.first() == Some(&b'r'),
            writable: may.get(1) == Some(&b'w'),
            executable: may.get(2) == Some(&b'x'),
            offset,
            inode,
            name: rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::MapsLine;

    #[test]
    fn a_line_and_what_is_none() {
        let line = MapsLine::parse(b"7f0a-7f0c r-xp 0001a000 08:01 1234   /usr/lib/a b\x1b.so (deleted)");
        let line = line.expect("one");
        assert_eq!(
            (line.start, line.end, line.offset, line.inode),
            (0x7f0a, 0x7f0c, 0x1a000, 1234)
        );
        assert!(line.readable && !line.writable && line.executable);
        assert_eq!(line.name, b"/usr/lib/a b\x1b.so (deleted)");
        let anonymous = MapsLine::parse(b"1000-2000 rw-p 00000000 00:00 0").expect("one");
        assert!(anonymous.writable && anonymous.name.is_empty());
        for broken in [&b""[..], b"-", b"2-1 r 0 0 0", b"x-y rwxp 0 0:0 0", b"1-2 rwxp"] {
            assert_eq!(MapsLine::parse(broken), None);
        }
    }
}

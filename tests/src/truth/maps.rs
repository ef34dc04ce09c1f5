//! Mappings.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// All mappings of one process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Maps {
    /// How many, `[vsyscall]` aside: the kernel shows it with every process and it belongs to none.
    pub count: u32,
    /// Sum of those without a file.
    pub anonymous_bytes: u64,
}

pub(super) fn read(task: &Path) -> Result<Maps> {
    parse(&String::from_utf8_lossy(&fs::read(task.join("maps"))?))
}

fn parse(text: &str) -> Result<Maps> {
    let mut maps = Maps {
        count: 0,
        anonymous_bytes: 0,
    };
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let mut field = || {
            fields
                .next()
                .with_context(|| format!("maps line is too short: `{line}`"))
        };
        let range = field()?;
        let (_permissions, _offset, _device) = (field()?, field()?, field()?);
        let inode = field()?;
        let name = fields.next().unwrap_or_default();
        if name == "[vsyscall]" {
            continue;
        }
        maps.count += 1;
        if inode == "0" && !is_kernel_made(name) {
            let (start, end) = range.split_once('-').context("no range in maps line")?;
            maps.anonymous_bytes += u64::from_str_radix(end, 16)? - u64::from_str_radix(start, 16)?;
        }
    }
    Ok(maps)
}

/// Special mappings (`_install_special_mapping`): pages of the kernel, not memory of the process.
fn is_kernel_made(name: &str) -> bool {
    matches!(name, "[vdso]" | "[vvar]" | "[vvar_vclock]" | "[uprobes]")
}

#[cfg(test)]
mod tests {
    use super::{Maps, parse};

    #[test]
    fn counts_mappings_and_sums_the_anonymous() {
        let maps = parse(
            "55dd19758000-55dd1975a000 r--p 00000000 fe:00 247030   /usr/bin/cat\n\
             55dd4b127000-55dd4b148000 rw-p 00000000 00:00 0        [heap]\n\
             7fce99291000-7fce992b3000 rw-p 00000000 00:00 0 \n\
             7fce99300000-7fce99301000 rw-s 00000000 00:01 1027     /dev/zero (deleted)\n\
             7fce99503000-7fce99507000 r--p 00000000 00:00 0        [vvar]\n\
             7fce99509000-7fce9950b000 r-xp 00000000 00:00 0        [vdso]\n\
             7ffc1bbfa000-7ffc1bc1b000 rw-p 00000000 00:00 0        [stack]\n\
             ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n",
        )
        .unwrap();
        assert_eq!(
            maps,
            Maps {
                count: 7,
                anonymous_bytes: 0x21000 + 0x22000 + 0x21000
            }
        );
    }

    #[test]
    fn a_line_that_is_not_one_is_an_error() {
        assert!(parse("nonsense\n").is_err());
    }
}

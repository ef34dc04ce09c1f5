//! Memory of a process that goes on running.

use std::io;

use libc::{iovec, process_vm_readv};

/// Most bytes of a stack that are read.
pub const MAX_STACK: usize = 32 << 10;
/// Smallest page of the machines there are: a read that ends at a page boundary fails as a whole or not at all.
const PAGE: u64 = 4096;
/// Pages that [`MAX_STACK`] bytes touch at most.
const MAX_PAGES: usize = MAX_STACK / 4096 + 1;

/// Reads the stack of a blocked thread of `pid` from its stack pointer up, at most [`MAX_STACK`] bytes: page by page until
/// the mapping ends, in one system call. The thread is not stopped: if it wakes up meanwhile, what is read may be torn.
pub fn read(pid: u32, sp: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(MAX_STACK, 0);
    let read = read_memory(pid, sp, buffer);
    buffer.truncate(*read.as_ref().unwrap_or(&0));
    read.map(|_| ())
}

/// Reads up to [`MAX_STACK`] bytes from `address` on; says how many there were.
pub(super) fn read_memory(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let length = buffer.len().min(MAX_STACK);
    let end = address
        .checked_add(length as u64)
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut pages = Vec::with_capacity(MAX_PAGES);
    let mut from = address;
    while from < end {
        let to = (from - from % PAGE).saturating_add(PAGE).min(end);
        pages.push(iovec {
            iov_base: from as *mut libc::c_void,
            iov_len: usize::try_from(to - from).unwrap_or(0),
        });
        from = to;
    }
    let local = iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: length,
    };
    // SAFETY: `local` is the buffer, which lives and is borrowed for the call; the kernel checks the addresses in `pages`,
    // which are another process's, and reads from them only.
    let read = unsafe {
        process_vm_readv(
            pid,
            &raw const local,
            1,
            pages.as_ptr(),
            pages.len() as libc::c_ulong,
            0,
        )
    };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::{MAX_STACK, read};

    #[test]
    fn own_memory_is_read() {
        let memory = vec![7_u8; MAX_STACK * 2];
        let mut buffer = Vec::new();
        read(std::process::id(), memory.as_ptr() as u64 + 5, &mut buffer).expect("mapped");
        assert_eq!(buffer, &memory[..MAX_STACK]);
    }

    #[test]
    fn a_read_ends_with_the_mapping() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
        let stack = maps
            .lines()
            .find(|line| line.ends_with("[stack]"))
            .expect("has a stack");
        let end = stack.split(['-', ' ']).nth(1).expect("has an end");
        let end = u64::from_str_radix(end, 16).expect("hexadecimal");
        let mut buffer = Vec::new();
        read(std::process::id(), end - 5000, &mut buffer).expect("mapped");
        assert_eq!(buffer.len(), 5000);
    }

    #[test]
    fn nothing_is_read_from_nowhere() {
        let mut buffer = vec![1; 3];
        assert!(read(std::process::id(), 8, &mut buffer).is_err());
        assert!(buffer.is_empty());
        assert!(read(std::process::id(), u64::MAX - 8, &mut buffer).is_err());
        // Above the largest PID.
        assert!(read(1 << 23, 8, &mut buffer).is_err());
    }
}

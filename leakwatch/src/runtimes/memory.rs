//! Memory of a process that goes on running: read in small pieces, at a bounded rate, and never more than is resident.

use std::{fs::File, io, os::unix::fs::FileExt as _, thread, time::Duration};

use bytemuck::AnyBitPattern;
use libc::{iovec, process_vm_readv};

use super::target::Target;
use crate::{
    model::sanitize,
    target_memory::{MAX_TEXT, ResidentMemory, TargetMemory},
};

/// A read asks for a page of a process, which the kernel gives it if it is swapped out; whole mappings are therefore read by
/// resident pages only.
const PAGE: u64 = 4096;
/// Bytes a second at the most, on average over one census.
const BYTES_PER_SECOND: u64 = 256 << 20;
/// Bytes between two looks at how fast it goes.
const PACE: u64 = 16 << 20;
/// What is kept of what was read: blocks of so many bytes, in so many slots; 16 MiB together.
const BLOCK: u64 = 16 << 10;
const SLOTS: usize = 1024;
/// Pieces of one system call (`UIO_MAXIOV` allows 1024).
const PIECES: usize = 512;
/// Bits of an entry of `pagemap` (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;

/// Reads one process's memory.
pub(super) struct Memory {
    pid: libc::pid_t,
    pagemap: Option<File>,
    slots: Vec<Option<Block>>,
    bytes_read: u64,
    /// The part of [`Self::bytes_read`] whose time has been waited for.
    paced: u64,
}

struct Block {
    start: u64,
    bytes: Box<[u8]>,
}

impl Memory {
    pub(super) fn of(target: &Target) -> Self {
        Self::of_process(target.process().pid)
    }

    /// Opens nothing, so that it costs nothing to make one for a few values.
    pub(super) fn of_process(pid: u32) -> Self {
        Self {
            pid: libc::pid_t::try_from(pid).unwrap_or(-1),
            pagemap: None,
            slots: Vec::new(),
            bytes_read: 0,
            paced: 0,
        }
    }

    /// So many bytes were read, cached ones not counted again.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads exactly that.
    ///
    /// # Errors
    /// When it is not all mapped, or the process is gone.
    pub(super) fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len();
        let read = self.read_pieces(buffer, &[(address, length)])?;
        if read == length {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// A value as it lies there now.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub(super) fn value<T: AnyBitPattern>(&mut self, address: u64) -> io::Result<T> {
        let mut bytes = vec![0; size_of::<T>()];
        self.read(address, &mut bytes)?;
        Ok(bytemuck::pod_read_unaligned(&bytes))
    }

    /// The same out of a block that was read before, if one was: for walks over many small things that lie close together.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub(super) fn cached<T: AnyBitPattern>(&mut self, address: u64) -> io::Result<T> {
        let size = size_of::<T>() as u64;
        let from = address - address % BLOCK;
        let offset = usize::try_from(address - from).unwrap_or(usize::MAX);
        if address % BLOCK + size > BLOCK {
            return self.value(address);
        }
        let Some(bytes) = self.block(from) else {
            return self.value(address);
        };
        let bytes = bytes.get(offset..offset + size_of::<T>());
        bytes
            .map(bytemuck::pod_read_unaligned)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What was read before is read again when it is next asked for.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
    }

    /// So many bytes of text there, control characters replaced; at most [`MAX_TEXT`] bytes of it.
    ///
    /// # Errors
    /// As of [`Self::read`].
    pub(super) fn counted_text(&mut self, address: u64, length: u64) -> io::Result<String> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_TEXT);
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes)?;
        Ok(sanitize::text(&bytes))
    }

    /// Reads `size` bytes at each of `addresses`, one after the other, into `buffer`; what cannot be read stays 0 there.
    pub(super) fn scattered(&mut self, addresses: &[u64], size: usize, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(addresses.len() * size, 0);
        let mut done = 0;
        while done < addresses.len() {
            let pieces: Vec<(u64, usize)> = addresses[done..]
                .iter()
                .take(PIECES)
                .map(|&address| (address, size))
                .collect();
            let into = &mut buffer[done * size..(done + pieces.len()) * size];
            let read = self.read_pieces(into, &pieces).unwrap_or(0);
            let whole = read / size.max(1);
            // The one that ended it cannot be read; those behind it can.
            into[whole * size..].fill(0);
            done += if whole < pieces.len() { whole + 1 } else { whole };
        }
    }

    /// Gives what is resident of `start..end` to `piece`, with its address, in pieces of at most 1 MiB that begin and end with
    /// pages; stops when `piece` says so.
    ///
    /// # Errors
    /// When it cannot be told what is resident.
    pub(super) fn resident(
        &mut self,
        start: u64,
        end: u64,
        mut piece: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut at = start;
        while let Some(from) = self.next_resident(at, end, &mut bytes)? {
            if !piece(from, &bytes) {
                break;
            }
            at = from + bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads the first resident pages of `start..end` that follow one another into `bytes`, at most 1 MiB of them, and says
    /// where they are; `None` when no page there is resident. For walks that skip, or read elsewhere in between.
    ///
    /// # Errors
    /// When it cannot be told what is resident.
    pub(super) fn next_resident(
        &mut self,
        start: u64,
        end: u64,
        bytes: &mut Vec<u8>,
    ) -> io::Result<Option<u64>> {
        const ENTRIES: u16 = 256;
        let mut entries = [0; ENTRIES as usize * 8];
        let mut at = start - start % PAGE;
        while at < end {
            let pages = (end - at).div_ceil(PAGE).min(ENTRIES.into());
            let wanted = &mut entries[..usize::try_from(pages * 8).unwrap_or(0)];
            self.pagemap()?.read_exact_at(wanted, at / PAGE * 8)?;
            let present: Vec<bool> = wanted
                .chunks_exact(8)
                .map(|entry| entry.first_chunk().map_or(0, |entry| u64::from_ne_bytes(*entry)) & PRESENT != 0)
                .collect();
            let mut page = 0;
            for run in present.chunk_by(|a, b| a == b) {
                let from = at + page * PAGE;
                page += run.len() as u64;
                if !run[0] {
                    continue;
                }
                bytes.resize(run.len() * usize::try_from(PAGE).unwrap_or(0), 0);
                if self.read(from, bytes).is_ok() {
                    return Ok(Some(from));
                }
            }
            at += pages * PAGE;
        }
        Ok(None)
    }

    /// Whether the page of this address was ever touched. One that was not would be mapped by reading it, and the table that
    /// it is mapped by is memory of the process.
    pub(super) fn is_touched(&mut self, address: u64) -> bool {
        let mut entry = [0; 8];
        let read = self
            .pagemap()
            .and_then(|pagemap| pagemap.read_exact_at(&mut entry, address / PAGE * 8));
        read.is_ok() && u64::from_ne_bytes(entry) & (PRESENT | SWAPPED) != 0
    }

    fn pagemap(&mut self) -> io::Result<&File> {
        let opened = match self.pagemap.take() {
            Some(opened) => opened,
            None => File::open(format!("/proc/{}/pagemap", self.pid))?,
        };
        Ok(self.pagemap.insert(opened))
    }

    fn block(&mut self, start: u64) -> Option<&[u8]> {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        // Multiplicative hashing, Knuth TAOCP 3, 6.4.
        let slot = (start / BLOCK).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let slot = usize::try_from(slot).unwrap_or(0) % SLOTS;
        if self.slots[slot].as_ref().is_none_or(|block| block.start != start) {
            let mut bytes = vec![0; usize::try_from(BLOCK).unwrap_or(0)].into_boxed_slice();
            self.read(start, &mut bytes).ok()?;
            self.slots[slot] = Some(Block { start, bytes });
        }
        self.slots[slot].as_ref().map(|block| &*block.bytes)
    }

    /// Bytes read: the pieces one after the other, until one cannot be read.
    fn read_pieces(&mut self, buffer: &mut [u8], pieces: &[(u64, usize)]) -> io::Result<usize> {
        let remote: Vec<iovec> = pieces
            .iter()
            .map(|&(address, length)| iovec {
                iov_base: address as *mut libc::c_void,
                iov_len: length,
            })
            .collect();
        let local = iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: `local` is the buffer, which lives and is borrowed for the call; the kernel checks the addresses in
        // `remote`, which are another process's, and reads from them only.
        let read = unsafe {
            process_vm_readv(
                self.pid,
                &raw const local,
                1,
                remote.as_ptr(),
                remote.len() as libc::c_ulong,
                0,
            )
        };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        self.bytes_read += read as u64;
        self.pace();
        Ok(read)
    }

    /// Waits when it goes too fast: reading holds the process's lock on its mappings, and takes memory bandwidth.
    fn pace(&mut self) {
        let read = self.bytes_read - self.paced;
        if read >= PACE {
            self.paced = self.bytes_read;
            thread::sleep(Duration::from_millis(read * 1000 / BYTES_PER_SECOND / 2));
        }
    }
}

impl TargetMemory for Memory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        Self::read(self, address, buffer)
    }

    fn word(&mut self, address: u64) -> io::Result<u64> {
        self.cached(address)
    }
}

impl ResidentMemory for Memory {
    fn next_resident(&mut self, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
        Self::next_resident(self, start, end, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_stat;

    fn own() -> Memory {
        Memory::of(&Target::open(process_stat::own()).expect("alive"))
    }

    #[test]
    fn values_text_and_blocks() {
        let numbers: Vec<u64> = (0..10_000).collect();
        let at = numbers.as_ptr() as u64;
        let mut memory = own();
        assert_eq!(memory.value::<u64>(at + 8 * 77).ok(), Some(77));
        for index in 0..10_000 {
            assert_eq!(memory.cached::<u64>(at + 8 * index).ok(), Some(index));
        }
        let read = memory.bytes_read();
        assert_eq!(memory.cached::<u64>(at).ok(), Some(0));
        assert!(memory.bytes_read() <= read + 8, "it was cached");
        assert_eq!(
            memory.text(c"a name".as_ptr() as u64).ok(),
            Some(b"a name".to_vec())
        );
        let text = "a\u{1b}name and more";
        assert_eq!(
            memory.counted_text(text.as_ptr() as u64, 6).ok(),
            Some("a\u{fffd}name".to_owned())
        );
        assert!(memory.value::<u64>(8).is_err() && memory.counted_text(8, u64::MAX).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let numbers = [1_u64, 2, 3];
        let at = |index: usize| &raw const numbers[index] as u64;
        let mut buffer = Vec::new();
        own().scattered(&[at(0), 8, at(2), 16, at(1)], 8, &mut buffer);
        let read: Vec<u64> = buffer.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        assert_eq!(read, [1, 0, 3, 0, 2]);
    }

    #[test]
    fn pages_that_were_never_touched_are_not_read() {
        let mut map = memmap2::MmapMut::map_anon(64 << 12).expect("memory");
        map.advise(memmap2::Advice::NoHugePage).expect("advice");
        (map[5 << 12], map[6 << 12], map[60 << 12]) = (1, 2, 3);
        let start = map.as_ptr() as u64;
        let mut seen = Vec::new();
        let piece = |address: u64, bytes: &[u8]| {
            seen.push(((address - start) >> 12, bytes.len() >> 12, bytes[0]));
            true
        };
        own()
            .resident(start, start + (64 << 12), piece)
            .expect("own pages are known");
        assert_eq!(seen, [(5, 2, 1), (60, 1, 3)]);
        let touched = [4_u64, 5, 60, 61].map(|page| own().is_touched(start + (page << 12)));
        assert_eq!(touched, [false, true, true, false]);
    }
}

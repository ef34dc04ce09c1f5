//! The site table, mapped into our memory: reading every count costs no system call.

use std::{
    mem::offset_of,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, Stack},
};
use bytemuck::Zeroable as _;
use bytes::Bytes;
use leakwatch_common::site::{MAX_SITES, OVERFLOW_SITE, SiteCounts, SiteKey};
use log::warn;
use memmap2::{MmapOptions, MmapRaw};

use super::error::KernelError;
use crate::raw::{RawBatch, SiteReading, Source};

/// Words of one entry.
const WORDS: usize = size_of::<SiteCounts>() / 8;

pub(super) struct SiteTable {
    view: MmapRaw,
    counts: Array<MapData, SiteCounts>,
    ids: HashMap<MapData, SiteKey, u32>,
    free: Stack<MapData, u32>,
    in_use: u32,
}

impl SiteTable {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = take(ebpf, "SITES")?;
        let Map::Array(data) = &map else {
            return Err(KernelError::NoMap("SITES"));
        };
        let view = MmapOptions::new()
            .len(MAX_SITES as usize * size_of::<SiteCounts>())
            .map_raw_read_only(data.fd().as_fd().as_raw_fd())
            .map_err(|source| KernelError::Io {
                what: "mmap of the eBPF map SITES",
                source,
            })?;
        let counts = Array::try_from(map).map_err(|source| KernelError::Map { map: "SITES", source })?;
        let ids = HashMap::try_from(take(ebpf, "SITE_IDS")?).map_err(|source| KernelError::Map {
            map: "SITE_IDS",
            source,
        })?;
        let mut free: Stack<MapData, u32> =
            Stack::try_from(take(ebpf, "FREE_SITES")?).map_err(|source| KernelError::Map {
                map: "FREE_SITES",
                source,
            })?;
        // Highest first: the kernel takes the last one pushed, so what is in use stays together at the start.
        for index in (OVERFLOW_SITE + 1..MAX_SITES).rev() {
            free.push(index, 0).map_err(|source| KernelError::Map {
                map: "FREE_SITES",
                source,
            })?;
        }
        Ok(Self {
            view,
            counts,
            ids,
            free,
            in_use: 0,
        })
    }

    /// Sites in use when they were last read.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Copies the entries in use.
    pub(super) fn read(&mut self) -> RawBatch {
        let mut readings = Vec::with_capacity(self.in_use as usize + 64);
        for index in 0..MAX_SITES {
            // Most entries are free, and one word says so.
            if self.word(index, offset_of!(SiteCounts, born) / 8) == 0 {
                continue;
            }
            let counts = self.entry(index);
            // The overflow site belongs to no process, but counts.
            if counts.key.tgid != 0 || index == OVERFLOW_SITE {
                readings.push(SiteReading {
                    counts,
                    index,
                    reserved: 0,
                });
            }
        }
        self.in_use = u32::try_from(readings.len()).unwrap_or(u32::MAX);
        RawBatch {
            source: Source::Sites,
            bytes: Bytes::from(bytemuck::cast_slice(&readings).to_vec()),
        }
    }

    /// One entry; each word is whole, the entry as a whole may be a moment apart.
    fn entry(&self, index: u32) -> SiteCounts {
        let mut words = [0; WORDS];
        for (offset, word) in words.iter_mut().enumerate() {
            *word = self.word(index, offset);
        }
        bytemuck::cast(words)
    }

    fn word(&self, index: u32, offset: usize) -> u64 {
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the mapping begins at a page and entries are whole words"
        )]
        let words = self.view.as_mut_ptr().cast::<u64>();
        let at = index as usize * WORDS + offset;
        assert!(at < MAX_SITES as usize * WORDS);
        // SAFETY: `at` is inside the mapping, which is page-aligned and lives as long as `self`. The kernel writes the same
        // memory with atomic adds and stores of whole words, so it is only read as atomics.
        unsafe { AtomicU64::from_ptr(words.add(at)) }.load(Ordering::Relaxed)
    }

    /// Gives entries back, so that the kernel can use them for other sites.
    pub(super) fn free(&mut self, ended: &[u32]) {
        for &index in ended {
            let key = self.entry(index).key;
            // First the key, so that no birth can find the entry any more.
            let freed = self
                .ids
                .remove(&key)
                .and_then(|()| self.counts.set(index, SiteCounts::zeroed(), 0))
                .and_then(|()| self.free.push(index, 0));
            if let Err(error) = freed {
                warn!("site {index} stays in use: {error}");
            }
        }
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or(KernelError::NoMap(name))
}

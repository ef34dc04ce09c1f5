//! Page faults and context switches of everybody, with the user's registers and a copy of the user's stack.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use leakwatch::unwind::Registers;
use perf_event_open_sys::{
    bindings::{
        PERF_COUNT_SW_CONTEXT_SWITCHES, PERF_COUNT_SW_PAGE_FAULTS, PERF_FLAG_FD_CLOEXEC, PERF_RECORD_LOST,
        PERF_RECORD_SAMPLE, PERF_SAMPLE_REGS_USER, PERF_SAMPLE_STACK_USER, PERF_SAMPLE_TID,
        PERF_TYPE_SOFTWARE, perf_event_attr, perf_event_mmap_page,
    },
    ioctls, perf_event_open,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// What the agent copies at most.
const STACK: u32 = 32 << 10;
/// A power of two: some hundred samples.
const RING: usize = 8 << 20;

/// Of so many page faults and context switches one is sampled: primes, so that loops do not hide.
const PAGE_FAULTS_PER_SAMPLE: u64 = 7;
const SWITCHES_PER_SAMPLE: u64 = 13;

/// Bits of the registers' mask, in ascending order (`arch/*/include/uapi/asm/perf_regs.h`).
#[cfg(target_arch = "x86_64")]
const REGISTERS: [u32; 3] = [6, 7, 8];
#[cfg(target_arch = "aarch64")]
const REGISTERS: [u32; 4] = [29, 30, 31, 32];

/// `PERF_SAMPLE_REGS_ABI_64`.
const ABI_64: u64 = 2;

/// One stack.
pub(crate) struct Sample<'a> {
    pub(crate) pid: u32,
    pub(crate) registers: Registers,
    /// From the stack pointer up.
    pub(crate) memory: &'a [u8],
}

/// Samples of all processors.
pub(crate) struct Sampler {
    rings: Vec<Ring>,
    dropped: u64,
    record: Vec<u8>,
}

impl Sampler {
    pub(crate) fn start() -> Result<Self> {
        let processors = std::thread::available_parallelism()?.get();
        let rings = (0..processors).map(Ring::open).collect::<Result<_>>()?;
        Ok(Self {
            rings,
            dropped: 0,
            record: Vec::new(),
        })
    }

    /// Samples that did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns when there are samples, or after a moment.
    pub(crate) fn wait(&self) -> Result<()> {
        let mut polled: Vec<_> = self
            .rings
            .iter()
            .map(|ring| PollFd::new(&ring.events[0], PollFlags::IN))
            .collect();
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        poll(&mut polled, Some(&moment)).context("poll").map(drop)
    }

    /// Hands out all there are.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Sample<'_>)) {
        for ring in &self.rings {
            while let Some(kind) = ring.next(&mut self.record) {
                match kind {
                    PERF_RECORD_SAMPLE => {
                        if let Some(sample) = parse(&self.record) {
                            each(sample);
                        }
                    }
                    // An id, and then how many.
                    PERF_RECORD_LOST => {
                        let mut fields = Fields(&self.record);
                        self.dropped += fields.u64().and_then(|_id| fields.u64()).unwrap_or(0);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Both events of one processor and the memory that the kernel writes their samples to.
struct Ring {
    events: [OwnedFd; 2],
    page: NonNull<perf_event_mmap_page>,
}

impl Ring {
    fn open(processor: usize) -> Result<Self> {
        let faults = open(
            PERF_COUNT_SW_PAGE_FAULTS.into(),
            PAGE_FAULTS_PER_SAMPLE,
            processor,
        )?;
        let switches = open(
            PERF_COUNT_SW_CONTEXT_SWITCHES.into(),
            SWITCHES_PER_SAMPLE,
            processor,
        )?;
        // SAFETY: a new mapping overlaps none.
        let page = unsafe {
            mmap(
                ptr::null_mut(),
                rustix::param::page_size() + RING,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &faults,
                0,
            )
        };
        let page = page.context("cannot map the samples")?;
        let page = NonNull::new(page.cast()).context("mapped at 0")?;
        let ring = Self {
            events: [faults, switches],
            page,
        };
        ring.share()?;
        Ok(ring)
    }

    /// Makes the second event write where the first does.
    fn share(&self) -> Result<()> {
        let [first, second] = &self.events;
        // SAFETY: both are perf events and stay open.
        let result = unsafe { ioctls::SET_OUTPUT(second.as_raw_fd(), first.as_raw_fd()) };
        if result < 0 {
            return Err(io::Error::last_os_error()).context("cannot share the samples' memory");
        }
        Ok(())
    }

    /// Copies the next record, without its header, to `record` and gives its place back to the kernel; its kind.
    fn next(&self, record: &mut Vec<u8>) -> Option<u32> {
        // SAFETY: mapped as long as this lives; the kernel and this process agree on both positions by acquire and release
        // (include/uapi/linux/perf_event.h).
        let (head, tail) = unsafe {
            let page = self.page.as_ptr();
            (
                AtomicU64::from_ptr(&raw mut (*page).data_head),
                AtomicU64::from_ptr(&raw mut (*page).data_tail),
            )
        };
        let at = tail.load(Ordering::Relaxed);
        if head.load(Ordering::Acquire) == at {
            return None;
        }
        // kind: u32, misc: u16, size: u16
        let mut header = [0; 8];
        self.copy(at, &mut header);
        let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let size = u16::from_ne_bytes([header[6], header[7]]);
        record.resize(usize::from(size).saturating_sub(header.len()), 0);
        self.copy(at + header.len() as u64, record);
        tail.store(at + u64::from(size), Ordering::Release);
        Some(kind)
    }

    fn copy(&self, position: u64, to: &mut [u8]) {
        let start = usize::try_from(position % RING as u64).unwrap_or(0);
        let first = to.len().min(RING - start);
        // SAFETY: both parts are inside the ring, which follows the first page, and the kernel does not write there until
        // it is given back.
        unsafe {
            let ring = self.page.as_ptr().cast::<u8>().add(rustix::param::page_size());
            ptr::copy_nonoverlapping(ring.add(start), to.as_mut_ptr(), first);
            ptr::copy_nonoverlapping(ring, to.as_mut_ptr().add(first), to.len() - first);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `open` with that size, and nothing refers to it any more.
        let _nobody_to_tell = unsafe { munmap(self.page.as_ptr().cast(), rustix::param::page_size() + RING) };
    }
}

fn open(event: u64, period: u64, processor: usize) -> Result<OwnedFd> {
    let mut attributes = perf_event_attr {
        type_: PERF_TYPE_SOFTWARE,
        size: u32::try_from(size_of::<perf_event_attr>())?,
        config: event,
        sample_type: u64::from(PERF_SAMPLE_TID | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER),
        sample_regs_user: REGISTERS.iter().map(|bit| 1_u64 << bit).sum(),
        sample_stack_user: STACK,
        ..Default::default()
    };
    attributes.__bindgen_anon_1.sample_period = period;
    attributes.__bindgen_anon_2.wakeup_events = 1;
    // SAFETY: the attributes are initialized and say how large they are.
    let fd = unsafe {
        perf_event_open(
            &raw mut attributes,
            -1,
            i32::try_from(processor)?,
            -1,
            PERF_FLAG_FD_CLOEXEC.into(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("perf_event_open");
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `None` for a kernel thread, a 32-bit process, or a stack that could not be copied.
fn parse(record: &[u8]) -> Option<Sample<'_>> {
    let mut fields = Fields(record);
    let pid = fields.u32()?;
    let _tid = fields.u32()?;
    if fields.u64()? != ABI_64 {
        return None;
    }
    let registers = registers(&mut fields)?;
    let size = usize::try_from(fields.u64()?).ok()?;
    let memory = fields.take(size)?;
    // The copy is padded; how much of it is stack stands behind it.
    let copied = usize::try_from(fields.u64()?).ok()?;
    let memory = memory.get(..copied).filter(|memory| !memory.is_empty())?;
    Some(Sample {
        pid,
        registers,
        memory,
    })
}

#[cfg(target_arch = "x86_64")]
fn registers(fields: &mut Fields<'_>) -> Option<Registers> {
    let [fp, sp, pc] = [fields.u64()?, fields.u64()?, fields.u64()?];
    Some(Registers { pc, sp, fp, lr: 0 })
}

#[cfg(target_arch = "aarch64")]
fn registers(fields: &mut Fields<'_>) -> Option<Registers> {
    let [fp, lr, sp, pc] = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    Some(Registers { pc, sp, fp, lr })
}

/// What of a record is not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.take(8)?.try_into().ok()?))
    }
}

//! What `leak.c` does, as Rust would: everything through `std`, functions in a module.

use std::{
    env,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

mod orders {
    use std::{
        ffi::{c_int, c_void},
        fs::File,
        hint::black_box,
        io, mem,
        os::unix::net::UnixDatagram,
        ptr, thread,
    };

    const CHURN: usize = 10;
    const MAPPING: usize = 1 << 16;

    pub struct Mode {
        pub name: &'static str,
        leak: fn() -> io::Result<()>,
        churn: fn() -> io::Result<()>,
    }

    pub const MODES: [Mode; 4] = [
        Mode { name: "fd", leak: leak_descriptor, churn: churn_descriptor },
        Mode { name: "socket", leak: leak_socket, churn: churn_socket },
        Mode { name: "thread", leak: leak_thread, churn: churn_thread },
        Mode { name: "mmap", leak: leak_mapping, churn: churn_mapping },
    ];

    // `black_box` after each call keeps it from becoming a jump.

    #[inline(never)]
    pub fn serve_request(mode: &Mode, leaks: bool) -> io::Result<()> {
        black_box(handle_order(mode, leaks))
    }

    #[inline(never)]
    fn handle_order(mode: &Mode, leaks: bool) -> io::Result<()> {
        if leaks {
            load_customer(mode)?;
        }
        black_box(price_items(mode))
    }

    #[inline(never)]
    fn load_customer(mode: &Mode) -> io::Result<()> {
        black_box((mode.leak)())
    }

    #[inline(never)]
    fn price_items(mode: &Mode) -> io::Result<()> {
        for _ in 0..CHURN {
            (mode.churn)()?;
        }
        black_box(Ok(()))
    }

    #[inline(never)]
    fn leak_descriptor() -> io::Result<()> {
        mem::forget(File::open("/dev/null")?);
        black_box(Ok(()))
    }

    #[inline(never)]
    fn churn_descriptor() -> io::Result<()> {
        drop(File::open("/dev/null")?);
        black_box(Ok(()))
    }

    #[inline(never)]
    fn leak_socket() -> io::Result<()> {
        mem::forget(UnixDatagram::unbound()?);
        black_box(Ok(()))
    }

    #[inline(never)]
    fn churn_socket() -> io::Result<()> {
        drop(UnixDatagram::unbound()?);
        black_box(Ok(()))
    }

    #[inline(never)]
    fn leak_thread() -> io::Result<()> {
        thread::Builder::new().spawn(|| loop {
            thread::park();
        })?;
        black_box(Ok(()))
    }

    #[inline(never)]
    fn churn_thread() -> io::Result<()> {
        let thread = thread::Builder::new().spawn(|| ())?;
        black_box(thread.join().map_err(|_| io::Error::other("panicked")))
    }

    #[inline(never)]
    fn leak_mapping() -> io::Result<()> {
        map()?;
        black_box(Ok(()))
    }

    #[inline(never)]
    fn churn_mapping() -> io::Result<()> {
        let memory = map()?;
        // SAFETY: nothing refers to it.
        black_box(match unsafe { munmap(memory, MAPPING) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    }

    fn map() -> io::Result<*mut c_void> {
        const READ_WRITE: c_int = 3;
        const PRIVATE_ANONYMOUS: c_int = 0x22;
        // SAFETY: a new mapping overlaps none.
        let memory = unsafe { mmap(ptr::null_mut(), MAPPING, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) };
        if memory.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is that large, writable and nobody else's.
        unsafe { ptr::write_bytes(memory.cast::<u8>(), 1, MAPPING) };
        Ok(memory)
    }

    unsafe extern "C" {
        fn mmap(at: *mut c_void, size: usize, prot: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
        fn munmap(at: *mut c_void, size: usize) -> c_int;
    }
}

const HELD: u32 = 900;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [name, rate, seconds] = arguments.as_slice()
        && let Some(mode) = orders::MODES.iter().find(|mode| mode.name == name)
        && let (Ok(rate), Ok(seconds)) = (rate.parse::<u32>(), seconds.parse::<u32>())
    {
        let start = Instant::now();
        for i in 0..rate * seconds {
            if let Err(error) = orders::serve_request(mode, i < HELD) {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
            let next = start + Duration::from_secs(1) / rate * i;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: leak fd|socket|thread|mmap RATE SECONDS");
    ExitCode::from(2)
}

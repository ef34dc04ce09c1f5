//! A file system whose server stops answering must not stop a look.

use std::{
    ffi::CString,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use super::fds;
use crate::confirm::descriptors;

/// Requests of include/uapi/linux/fuse.h.
const INIT: u32 = 26;
const OPENDIR: u32 = 27;

/// Answers these two, and then nothing any more.
fn serve(mut device: &File) -> Option<()> {
    let mut request = vec![0; 1 << 17];
    loop {
        let length = device.read(&mut request).ok()?;
        let opcode = u32::from_ne_bytes(*request.get(4..length)?.first_chunk()?);
        let unique = request.get(8..16)?.to_vec();
        let (error, body) = match opcode {
            INIT => {
                let mut body = [0; 64];
                let version = [7_u32.to_ne_bytes(), 31_u32.to_ne_bytes()].concat();
                body[..8].copy_from_slice(&version);
                body[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
                (0, body.to_vec())
            }
            OPENDIR => (-libc::ENOSYS, Vec::new()),
            _ => continue,
        };
        let length = u32::try_from(16 + body.len()).ok()?;
        let header = [length.to_ne_bytes(), error.to_ne_bytes()].concat();
        device.write_all(&[header, unique, body].concat()).ok()?;
    }
}

struct Mounted(CString);

impl Mounted {
    fn at(directory: &Path, device: &File) -> Option<Self> {
        let point = CString::new(directory.to_str()?).ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = CString::new(options).ok()?;
        let (name, kind) = (c"leakwatch-test", c"fuse");
        // SAFETY: all are strings that end with NUL and outlive the call.
        let result = unsafe {
            libc::mount(
                name.as_ptr(),
                point.as_ptr(),
                kind.as_ptr(),
                0,
                options.as_ptr().cast(),
            )
        };
        (result == 0).then_some(Self(point))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // SAFETY: a string that ends with NUL. By force: whoever waits for an answer gets an error.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_FORCE | libc::MNT_DETACH) };
    }
}

#[test]
fn a_file_system_that_does_not_answer_is_not_asked() {
    let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
        eprintln!("no FUSE here");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::at(directory.path(), &device) else {
        eprintln!("not allowed to mount");
        return;
    };
    let server = device.try_clone().unwrap();
    thread::spawn(move || serve(&server));
    let opened = File::open(directory.path()).unwrap();
    let items = fds(&[&opened]);
    let (done, looked) = channel();
    thread::spawn(move || done.send(descriptors::look(std::process::id(), &items)));
    let sights = looked.recv_timeout(Duration::from_secs(10));
    // The test of the test: asked as usual, it does wait.
    let (done, asked) = channel();
    let file = opened.try_clone().unwrap();
    thread::spawn(move || done.send(file.metadata().is_ok()));
    let answer = asked.recv_timeout(Duration::from_millis(300));
    drop(mounted);
    assert_eq!(sights.unwrap().len(), 1);
    assert!(answer.is_err(), "the server was expected not to answer");
}

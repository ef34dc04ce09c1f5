//! Processes: forked, cloned with a shared descriptor table, spawned, replaced by `execve`, reaped or not.

use std::{
    ffi::{CString, c_char, c_int},
    ptr, thread,
};

use crate::{AFTER_EXEC, descriptors::Descriptors, rng::Rng, shared::Shared, worker::pause_forever};

/// Children on their way out that are not reaped yet, at most.
const LEAVING: usize = 4;

/// What a child does. It has one thread and may be a copy of a process with many: it must not allocate before `execve`.
#[derive(Clone, Copy)]
enum Life {
    /// Closes some of what it inherited, takes some of its own.
    Fork,
    /// Shares the parent's descriptor table.
    SharedTable,
    /// The same, and then takes a copy of the table.
    UnsharedTable,
    /// Becomes another image; what is close-on-exec goes.
    Exec,
    /// Has a child of its own.
    Grandparent,
}

/// The children of one worker. Only the worker's main thread forks those that stay: they die with that thread.
pub(crate) struct Family {
    shared: &'static Shared,
    descriptors: Descriptors,
    leaving: Vec<libc::pid_t>,
    may_stay: usize,
}

impl Family {
    /// `may_stay`: children to keep to the end, at most.
    pub(crate) fn new(shared: &'static Shared, descriptors: Descriptors, may_stay: usize) -> Self {
        Self {
            shared,
            descriptors,
            leaving: Vec::with_capacity(LEAVING),
            may_stay,
        }
    }

    /// Starts a child, most of which exit soon.
    pub(crate) fn grow_or_shrink(&mut self, rng: &mut Rng) {
        if self.leaving.len() == LEAVING {
            self.reap();
        }
        let life = match rng.below(6) {
            0 | 1 => Life::Fork,
            2 => Life::SharedTable,
            3 => Life::UnsharedTable,
            4 => Life::Grandparent,
            _ => Life::Exec,
        };
        if rng.one_in(12) {
            self.leaving.extend(spawn(rng.next()));
        } else if self.may_stay > 0 && rng.one_in(16) {
            if let Some(pid) = self.child(life, true, rng) {
                self.may_stay -= 1;
                self.shared.stays(pid);
            }
        } else {
            let pid = self.child(life, false, rng);
            self.leaving.extend(pid);
        }
    }

    /// Reaps all that are on their way out but one, which stays a zombie.
    pub(crate) fn settle(&mut self) {
        while !self.leaving.is_empty() {
            self.reap();
        }
        // SAFETY: the child only exits.
        match unsafe { libc::fork() } {
            0 => exit(),
            pid if pid > 0 => self.shared.stays(pid),
            _ => {}
        }
    }

    fn reap(&mut self) {
        for pid in self.leaving.drain(..) {
            // SAFETY: plain system call; the pid is this process's own child, not yet reaped.
            if unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } == pid {
                self.shared.exited(pid);
            }
        }
    }

    fn child(&self, life: Life, stays: bool, rng: &mut Rng) -> Option<libc::pid_t> {
        let mut rng_of_child = rng.fork(0);
        rng.next();
        let arguments = Arguments::new(rng.next(), stays);
        // SAFETY: plain system calls.
        let (parent, pid) = unsafe {
            (
                libc::getpid(),
                match life {
                    // The system call itself: the C library has no `fork` that shares the table. Nothing in the child
                    // below relies on what the library would have set right.
                    Life::SharedTable | Life::UnsharedTable => {
                        libc::syscall(libc::SYS_clone, libc::CLONE_FILES | libc::SIGCHLD, 0, 0, 0, 0)
                            as libc::pid_t
                    }
                    _ => libc::fork(),
                },
            )
        };
        if pid != 0 {
            return (pid > 0).then_some(pid);
        }
        die_with_parent(parent);
        for _ in 0..rng_of_child.below(64) {
            self.descriptors.any(&mut rng_of_child);
        }
        match life {
            Life::Fork | Life::SharedTable => {}
            Life::UnsharedTable => {
                // SAFETY: plain system call.
                unsafe { libc::unshare(libc::CLONE_FILES) };
                self.descriptors.any(&mut rng_of_child);
            }
            Life::Exec => {
                self.descriptors.set_close_on_exec(&mut rng_of_child);
                // SAFETY: the arguments are C strings in an array that ends with a null pointer.
                unsafe { libc::execv(PROGRAM.as_ptr(), arguments.pointers().as_ptr()) };
            }
            Life::Grandparent => self.grandchild(stays),
        }
        if stays { pause_forever() } else { exit() }
    }

    fn grandchild(&self, stays: bool) {
        // SAFETY: plain system calls; the child calls nothing that allocates.
        unsafe {
            let parent = libc::getpid();
            match libc::fork() {
                0 if stays => {
                    die_with_parent(parent);
                    pause_forever()
                }
                0 => exit(),
                pid if pid > 0 && stays => self.shared.stays(pid),
                pid => drop(libc::waitpid(pid, ptr::null_mut(), 0)),
            }
        }
    }
}

/// This same program; by this name also where it was started from another directory.
const PROGRAM: &std::ffi::CStr = c"/proc/self/exe";

/// Arguments for [`PROGRAM`], made before the fork.
struct Arguments([CString; 4]);

impl Arguments {
    fn new(seed: u64, stays: bool) -> Self {
        let stays = if stays { "stay" } else { "exit" };
        Self(
            ["stress", AFTER_EXEC, &seed.to_string(), stays]
                .map(|text| CString::new(text).expect("no NUL in it")),
        )
    }

    fn pointers(&self) -> [*const c_char; 5] {
        let [program, verb, seed, stays] = &self.0;
        [
            program.as_ptr(),
            verb.as_ptr(),
            seed.as_ptr(),
            stays.as_ptr(),
            ptr::null(),
        ]
    }
}

/// `posix_spawn`: a child that shares all memory until it execs (`CLONE_VM | CLONE_VFORK`).
fn spawn(seed: u64) -> Option<libc::pid_t> {
    let arguments = Arguments::new(seed, false);
    let environment: [*mut c_char; 1] = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: C strings in arrays that end with a null pointer; no file actions, no attributes.
    let error: c_int = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            PROGRAM.as_ptr(),
            ptr::null(),
            ptr::null(),
            arguments.pointers().as_ptr().cast(),
            environment.as_ptr(),
        )
    };
    (error == 0).then_some(pid)
}

/// What [`Life::Exec`] becomes: takes some descriptors and threads in the new image.
pub(crate) fn after_exec(mut rng: Rng, stays: bool) -> ! {
    let descriptors = Descriptors::new(vec![c"/dev/null".to_owned()], 64);
    for _ in 0..64 {
        descriptors.any(&mut rng);
    }
    if stays {
        for _ in 0..rng.below(4) {
            thread::spawn(thread::park);
        }
        pause_forever();
    }
    exit()
}

/// Has the kernel kill this process when the thread that forked it dies.
pub(crate) fn die_with_parent(parent: libc::pid_t) {
    // SAFETY: plain system calls.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            exit();
        }
    }
}

fn exit() -> ! {
    // SAFETY: ends the process without running what the parent has registered to run at its own exit.
    unsafe { libc::_exit(0) }
}

//! usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS.

use std::{
    env, process, thread,
    time::{Duration, Instant},
};

/// What the command line says.
#[derive(Clone, Copy)]
pub struct Run {
    /// Whether what leaks is given back.
    #[allow(dead_code, reason = "programs that only grow have no other form")]
    pub fixed: bool,
    requests: u32,
    period: Duration,
}

impl Run {
    pub fn from_command_line() -> Self {
        let arguments: Vec<String> = env::args().collect();
        let [program, form, seconds, rate] = &arguments[..] else {
            eprintln!("usage: {} leaky|fixed SECONDS RATE", arguments[0]);
            process::exit(2);
        };
        let number = |text: &String| -> u32 {
            text.parse()
                .unwrap_or_else(|_| panic!("{program}: {text} is no number"))
        };
        let (seconds, rate) = (number(seconds), number(rate));
        Self {
            fixed: form == "fixed",
            requests: seconds * rate,
            period: Duration::from_secs(1) / rate,
        }
    }

    /// Whole seconds of load before `request`.
    #[allow(dead_code, reason = "for programs that grow with time")]
    pub fn seconds_before(self, request: u32) -> usize {
        (self.period * request).as_secs() as usize
    }

    /// Numbers of requests, each when its turn comes.
    pub fn requests(self) -> impl Iterator<Item = u32> {
        let start = Instant::now();
        (0..self.requests).inspect(move |&request| {
            let turn = start + self.period * request;
            thread::sleep(turn.saturating_duration_since(Instant::now()));
        })
    }
}

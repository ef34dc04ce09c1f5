//! The port of a node's inspector, as it was started.

use std::fs;

use crate::attach::process::Process;

/// Where node listens unless it is told otherwise.
const DEFAULT: u16 = 9229;
/// Options that name a port, or a host and a port (`node --help`).
const OPTIONS: [&str; 5] = [
    "--debug-port=",
    "--inspect=",
    "--inspect-brk=",
    "--inspect-port=",
    "--inspect-wait=",
];
const OPTIONS_BY_ENVIRONMENT: &str = "NODE_OPTIONS";

/// The port of a process.
pub(super) fn of(process: &Process) -> u16 {
    let command_line = fs::read(format!("/proc/{}/cmdline", process.id().pid)).unwrap_or_default();
    let by_environment = process.variable(OPTIONS_BY_ENVIRONMENT).ok().flatten();
    stated(&command_line, &by_environment.unwrap_or_default()).unwrap_or(DEFAULT)
}

/// The last one that is named; the command line overrides the environment. Arguments of the script look the same, and do no
/// harm: what is opened on SIGUSR1 is found on any port.
fn stated(command_line: &[u8], by_environment: &str) -> Option<u16> {
    let arguments = by_environment
        .as_bytes()
        .split(u8::is_ascii_whitespace)
        .chain(command_line.split(|&byte| byte == 0));
    arguments.filter_map(port).next_back()
}

fn port(argument: &[u8]) -> Option<u16> {
    let argument = str::from_utf8(argument).ok()?;
    let value = OPTIONS.iter().find_map(|option| argument.strip_prefix(option))?;
    value.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::stated;

    #[test]
    fn ports_by_option() {
        for (command_line, by_environment, expected) in [
            ("node\0a.js\0", "", None),
            ("node\0--inspect\0a.js\0", "", None),
            ("node\0--inspect=9500\0a.js\0", "", Some(9500)),
            ("node\0--inspect-port=0.0.0.0:7000\0a.js\0", "", Some(7000)),
            ("node\0--inspect=[::1]:7000\0a.js\0", "", Some(7000)),
            ("node\0--inspect=localhost\0a.js\0", "", None),
            ("node\0-r\0./b.js\0--inspect=7000\0a.js\0", "", Some(7000)),
            ("node\0a.js\0", "--inspect=7001 -r x", Some(7001)),
            ("node\0--inspect=7000\0a.js\0", "--inspect=7001", Some(7000)),
            ("node\0--inspect=70000\0", "", None),
        ] {
            let port = stated(command_line.as_bytes(), by_environment);
            assert_eq!(port, expected, "{command_line:?} {by_environment:?}");
        }
    }
}

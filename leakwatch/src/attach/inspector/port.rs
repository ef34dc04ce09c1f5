//! The port of a node's inspector, as it was started.

use std::fs;

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
const OPTIONS_BY_ENVIRONMENT: &[u8] = b"NODE_OPTIONS=";

/// The port of a process.
pub(super) fn of(pid: u32) -> u16 {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    stated(&read("cmdline"), &read("environ")).unwrap_or(DEFAULT)
}

/// The last one that is named; the command line overrides the environment. Arguments of the script look the same, and do no
/// harm: what is opened on SIGUSR1 is found on any port.
fn stated(command_line: &[u8], environment: &[u8]) -> Option<u16> {
    let mut variables = environment.split(|&byte| byte == 0);
    let by_environment = variables.find_map(|variable| variable.strip_prefix(OPTIONS_BY_ENVIRONMENT));
    let by_environment = by_environment.unwrap_or_default();
    let arguments = by_environment
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
        for (command_line, environment, expected) in [
            ("node\0a.js\0", "", None),
            ("node\0--inspect\0a.js\0", "", None),
            ("node\0--inspect=9500\0a.js\0", "", Some(9500)),
            ("node\0--inspect-port=0.0.0.0:7000\0a.js\0", "", Some(7000)),
            ("node\0--inspect=[::1]:7000\0a.js\0", "", Some(7000)),
            ("node\0--inspect=localhost\0a.js\0", "", None),
            ("node\0-r\0./b.js\0--inspect=7000\0a.js\0", "", Some(7000)),
            (
                "node\0a.js\0",
                "A=b\0NODE_OPTIONS=--inspect=7001 -r x\0",
                Some(7001),
            ),
            (
                "node\0--inspect=7000\0a.js\0",
                "NODE_OPTIONS=--inspect=7001\0",
                Some(7000),
            ),
            ("node\0--inspect=70000\0", "", None),
        ] {
            let port = stated(command_line.as_bytes(), environment.as_bytes());
            assert_eq!(port, expected, "{command_line:?} {environment:?}");
        }
    }
}

//! The systemd unit that a process is in, from its cgroup paths.

/// What systemd puts processes into. Slices only hold these.
const SUFFIXES: [&str; 2] = [".service", ".scope"];
/// systemd puts it before a name that the kernel could take for one of its own files (`cg_escape`).
const ESCAPE: char = '_';

/// Unit, from the lines of `/proc/PID/cgroup`: the innermost service or scope of its path, with the user's name for it where
/// a user's manager runs it.
///
/// Hybrid hosts have systemd's own hierarchy of version 1 beside the unified one; it knows best.
pub fn name(cgroup: &str) -> Option<String> {
    let path = |prefix: &str| {
        cgroup
            .lines()
            .find_map(|line| line.split_once(':')?.1.strip_prefix(prefix))
    };
    let path = path("name=systemd:")
        .filter(|path| *path != "/")
        .or_else(|| path(":"))?;
    let unit = path.rsplit('/').find(|part| {
        SUFFIXES
            .iter()
            .any(|suffix| part.len() > suffix.len() && part.ends_with(suffix))
    })?;
    Some(unit.strip_prefix(ESCAPE).unwrap_or(unit).to_owned())
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn services_scopes_and_what_is_neither() {
        for (path, unit) in [
            ("/system.slice/nginx.service", Some("nginx.service")),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                Some("getty@tty1.service"),
            ),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                Some("session-3.scope"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope",
                Some("app-gnome-firefox-4242.scope"),
            ),
            // A service with cgroups of its own below it.
            (
                "/system.slice/postgresql.service/workers/1",
                Some("postgresql.service"),
            ),
            ("/system.slice/_cpu.service", Some("cpu.service")),
            ("/init.scope", Some("init.scope")),
            ("/system.slice", None),
            ("/.service", None),
            ("/", None),
        ] {
            assert_eq!(name(&format!("0::{path}\n")).as_deref(), unit, "{path}");
        }
    }

    #[test]
    fn on_a_hybrid_host_the_hierarchy_of_systemd_is_asked() {
        let lines = "12:pids:/elsewhere\n1:name=systemd:/system.slice/cron.service\n0::/\n";
        assert_eq!(name(lines).as_deref(), Some("cron.service"));
        let empty = "9:name=systemd:/\n0::/system.slice/cron.service\n";
        assert_eq!(name(empty).as_deref(), Some("cron.service"));
        assert_eq!(name("nonsense"), None);
    }
}

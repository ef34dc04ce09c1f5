//! How CoreCLR, the runtime of .NET, lays out its data; read from outside while the program runs on.
//!
//! `libcoreclr.so` says nothing of its data to who does not bring its debugger along, so what is written here is of the
//! versions in [`is_known`]; every step is checked by what it leads to. The names are in the assemblies, which the process
//! has mapped ([`metadata`]).

pub(crate) mod code;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod metadata;
pub(crate) mod method_table;
pub(crate) mod schema;

/// Every `libcoreclr.so` exports it.
pub(crate) const MARK: &str = "coreclr_initialize";

/// The version of a `libcoreclr.so`: the directory that it is installed in. A program that brings its own runtime has no
/// such directory.
pub(crate) fn version(path: &str) -> Option<&str> {
    let directory = path.rsplit('/').nth(1)?;
    let is_version = directory.contains('.') && directory.starts_with(|c: char| c.is_ascii_digit());
    is_version.then_some(directory)
}

/// Whether the data of this version is laid out as it is written here.
pub(crate) fn is_known(version: &str) -> bool {
    cfg!(target_arch = "x86_64") && version.starts_with("3.1.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_directory() {
        assert_eq!(
            version("/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11/libcoreclr.so"),
            Some("8.0.11")
        );
        assert_eq!(version("/app/libcoreclr.so"), None);
        assert_eq!(version("libcoreclr.so"), None);
        assert!(!is_known("8.0.11") && !is_known("3.10.0"));
    }
}

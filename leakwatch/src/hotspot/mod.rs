//! How HotSpot, the Java virtual machine of OpenJDK, lays out its data; read from outside while the program runs on.
//!
//! `libjvm.so` describes itself in tables that it exports for debuggers ([`vm_structs`]). So offsets come from the build at
//! hand and none is guessed. What a field means is known of the releases in [`is_known`].

pub(crate) mod class_name;
pub(crate) mod vm_structs;

use std::io;

/// Why a JVM cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    /// It is no HotSpot.
    #[error("its libjvm.so is not HotSpot's: it has no gHotSpotVMStructs")]
    OtherJvm,
    /// What was read is not what has to be there.
    #[error("it is not laid out as HotSpot is: {0}")]
    Layout(&'static str),
    /// It describes itself, without this.
    #[error("it does not say where {0} is")]
    Missing(&'static str),
    /// The process has ended, or may not be read.
    #[error("its memory cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Whether the fields of this release (`17.0.15+6-Debian-1deb12u1`) mean what is written here.
pub(crate) fn is_known(release: &str) -> bool {
    feature(release).is_some_and(|feature| (11..=25).contains(&feature))
}

/// The first number of it. Up to JDK 8, where it is HotSpot's own (`25.302-b08`), it has no `+`.
fn feature(release: &str) -> Option<u32> {
    let (number, _) = release.split_once('+')?;
    number.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (release, is) in [
            ("17.0.15+6-Debian-1deb12u1", Some(17)),
            ("25.0.2+10-LTS", Some(25)),
            ("21+35", Some(21)),
            ("26-ea+5", Some(26)),
            ("25.302-b08", None),
            ("", None),
            ("x+y", None),
        ] {
            assert_eq!(feature(release), is, "{release}");
        }
    }
}

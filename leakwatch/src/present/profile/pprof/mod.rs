//! The format of `go tool pprof`, Pyroscope and Parca: `profile.proto`, compressed by gzip.
//!
//! Process and kind are labels: `go tool pprof -tagroot=process,kind` makes roots of them.

mod message;
mod reader;
mod writer;

pub use self::{reader::read, writer::write};

/// First word of the first comment; the resource's name follows it.
const MARK: &str = "leakwatch";

/// Name of the value that says what is still held.
const LIVE: &str = "live";

/// Keys of the labels.
mod key {
    /// Number: the process's pid.
    pub(super) const PID: &str = "pid";
    /// The process's name.
    pub(super) const PROCESS: &str = "process";
    /// Kind of what is held.
    pub(super) const KIND: &str = "kind";
    /// The function to look at first.
    pub(super) const FUNCTION: &str = "function";
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::prelude::{any, proptest};
    use prost::Message as _;

    use super::{message, reader::read_message, write};
    use crate::present::{
        profile::{Profile, Resource},
        sample,
    };

    fn message() -> Vec<u8> {
        unpacked(&profile())
    }

    fn profile() -> Profile {
        Profile::of(&sample::snapshot(), &[4711].into(), Resource::Fd, 30_000_000_000)
    }

    fn unpacked(profile: &Profile) -> Vec<u8> {
        let mut message = Vec::new();
        GzDecoder::new(&*write(profile))
            .read_to_end(&mut message)
            .expect("it was just compressed");
        message
    }

    #[test]
    fn messages() {
        let message = message::Profile::decode(&*message()).expect("it was just encoded");
        insta::assert_snapshot!("message", format!("{message:#?}"));
    }

    #[test]
    fn the_first_mapping_is_the_executable() {
        let mut profile = profile();
        let first = |profile: &Profile| {
            let message = message::Profile::decode(&*unpacked(profile)).expect("it was just encoded");
            let name = usize::try_from(message.mapping[0].filename).expect("it is an index");
            message.string_table[name].clone()
        };
        assert_eq!(
            first(&profile),
            "/usr/lib/libc.so.6",
            "the innermost frame's, if java ran no code"
        );
        profile.exe = Some("/usr/bin/payments".to_owned());
        assert_eq!(first(&profile), "/usr/bin/payments");
    }

    proptest! {
        #[test]
        fn a_damaged_message_is_no_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut message = message();
            let at = at.index(message.len());
            message[at] = byte;
            let _ = read_message(&message);
        }
    }
}

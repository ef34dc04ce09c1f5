//! Messages to the diagnostics server that is in every .NET, and its answers
//! (dotnet/diagnostics documentation/design-docs/ipc-protocol.md). Little-endian.

use std::io::{self, Read};

use bytes::{Buf as _, BufMut as _};

use super::PROVIDER;
use crate::attach::{Refused, process::call};

const MAGIC: &[u8; 14] = b"DOTNET_IPC_V1\0";
/// Bytes before the payload: magic, length of all, set of commands, command, two that are reserved.
const HEADER: usize = 20;
const EVENT_PIPE: u8 = 0x02;
/// Set and command of an answer, if all is well.
const OK: [u8; 2] = [0xff, 0x00];
/// The streams of .NET Core 3.0 and later.
const NETTRACE: u32 = 1;
/// The level Informational.
const LEVEL: u32 = 4;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Ends the session of this number.
    Stop(u64),
    /// Begins one: every method is listed when it ends.
    Collect(Wanted),
    /// Begins one; from .NET Core 3.1 on.
    CollectWithoutMethods(Wanted),
}

/// Events that are wanted of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) keywords: u64,
    /// Megabytes that the process may take to keep what was not sent yet.
    pub(super) megabytes: u32,
}

impl Command {
    fn number(self) -> u8 {
        match self {
            Self::Stop(_) => 1,
            Self::Collect(_) => 2,
            Self::CollectWithoutMethods(_) => 3,
        }
    }

    fn payload(self) -> Vec<u8> {
        match self {
            Self::Stop(session) => session.to_le_bytes().to_vec(),
            Self::Collect(wanted) => wanted.payload(&[]),
            Self::CollectWithoutMethods(wanted) => wanted.payload(&[0]),
        }
    }

    fn message(self) -> Vec<u8> {
        let payload = self.payload();
        let length = u16::try_from(HEADER + payload.len()).unwrap_or(u16::MAX);
        let mut message = MAGIC.to_vec();
        message.put_u16_le(length);
        message.put_slice(&[EVENT_PIPE, self.number(), 0, 0]);
        message.put_slice(&payload);
        message
    }
}

impl Wanted {
    /// One provider, without arguments.
    fn payload(self, options: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.put_u32_le(self.megabytes);
        payload.put_u32_le(NETTRACE);
        payload.put_slice(options);
        payload.put_u32_le(1);
        payload.put_u64_le(self.keywords);
        payload.put_u32_le(LEVEL);
        let name: Vec<u16> = PROVIDER.encode_utf16().chain([0]).collect();
        payload.put_u32_le(u32::try_from(name.len()).unwrap_or(u32::MAX));
        for unit in name {
            payload.put_u16_le(unit);
        }
        payload.put_u32_le(0);
        payload
    }
}

/// Sends it.
pub(super) fn send(stream: &mut impl io::Write, command: Command) -> Result<(), Refused> {
    let sent = stream.write_all(&command.message());
    sent.map_err(|error| call("write to the diagnostics server".to_owned(), error))
}

/// The number of the session that the answer is about.
pub(super) fn answer(stream: &mut impl Read) -> Result<u64, Refused> {
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        let read = stream.read_exact(&mut bytes);
        read.map_err(|error| call("read from the diagnostics server".to_owned(), error))?;
        Ok(bytes)
    };
    let header: Vec<u8> = bytes(HEADER)?;
    let mut fields = header.strip_prefix(MAGIC).ok_or(NO_ANSWER)?;
    let length = usize::from(fields.try_get_u16_le().map_err(|_| NO_ANSWER)?);
    let payload = bytes(length.checked_sub(HEADER).ok_or(NO_ANSWER)?)?;
    let mut payload = payload.as_slice();
    if fields.starts_with(&OK) {
        payload.try_get_u64_le().map_err(|_| NO_ANSWER)
    } else {
        let error = payload.try_get_u32_le().map_err(|_| NO_ANSWER)?;
        Err(Refused::Declined(format!(
            "its diagnostics server answers with the error {error:#010x}"
        )))
    }
}

const NO_ANSWER: Refused = Refused::Answer("it is none of a diagnostics server");

#[cfg(test)]
mod tests {
    use super::{Command, Wanted, answer, send};
    use crate::attach::Refused;

    #[test]
    fn messages_are_as_the_protocol_says() {
        let mut message = Vec::new();
        send(&mut message, Command::Stop(0x0102)).unwrap();
        assert_eq!(message, b"DOTNET_IPC_V1\0\x1c\0\x02\x01\0\0\x02\x01\0\0\0\0\0\0");
        let wanted = Wanted {
            keywords: 7,
            megabytes: 9,
        };
        let mut message = Vec::new();
        send(&mut message, Command::CollectWithoutMethods(wanted)).unwrap();
        assert_eq!(usize::from(message[14]), message.len());
        assert!(message[16..].starts_with(b"\x02\x03\0\0\x09\0\0\0\x01\0\0\0\0\x01\0\0\0\x07\0"));
        assert!(message.ends_with(b"m\0e\0\0\0\0\0\0\0"));
    }

    #[test]
    fn an_answer_is_a_session_or_an_error() {
        let told = |bytes: &[u8]| answer(&mut &*bytes);
        let session = told(b"DOTNET_IPC_V1\0\x1c\0\xff\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(session.unwrap(), 5);
        let unknown = told(b"DOTNET_IPC_V1\0\x18\0\xff\xff\0\0\x85\x13\x13\x80");
        assert!(unknown.unwrap_err().to_string().ends_with("0x80131385"));
        for broken in [
            &b"DOTNET_IPC_V1\0\x13\0\xff\0\0\0\x05\0\0\0\0\0\0\0"[..],
            b"DOTNET_IPC_V2\0\x1c\0\xff\0\0\0\x05\0\0\0\0\0\0\0",
            b"DOTNET_IPC_V1\0\x14\0\xff\0\0\0",
        ] {
            assert!(matches!(told(broken), Err(Refused::Answer(_))));
        }
        assert!(matches!(told(b"DOTNET"), Err(Refused::Call { .. })));
    }
}

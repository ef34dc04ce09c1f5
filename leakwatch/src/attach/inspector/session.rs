//! A session of the Chrome DevTools Protocol with a process: a list of what can be talked to by HTTP, then a WebSocket with
//! one JSON document a message (<https://chromedevtools.github.io/devtools-protocol/>, "HTTP Endpoints").

use std::{
    borrow::Cow,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tungstenite::{
    Error, HandshakeError, Message, WebSocket, client::client_with_config, protocol::WebSocketConfig,
};

use super::socket::connect;
use crate::{
    attach::{Refused, process::call, stream::Stream},
    model::{identity::ProcessId, sanitize},
};

/// Bytes of a message that are read at the most: a sample takes about fifty.
const MAX_MESSAGE: usize = 64 << 20;
/// Bytes of a list of what can be talked to, and its headers.
const MAX_LIST: usize = 64 << 10;
const MAX_HEADERS: usize = 16;
/// Longest name of what can be talked to: node has UUIDs.
const MAX_ID: usize = 64;
/// For what is answered by another thread than that of the program.
const GREETS_WITHIN: Duration = Duration::from_secs(5);
/// To look whether something has come.
const GLANCE: Duration = Duration::from_millis(1);

/// Dropping it ends the connection.
pub(super) struct Session {
    socket: WebSocket<Stream<TcpStream>>,
    calls: u64,
    is_leaving: bool,
}

/// What can be talked to.
#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// What comes: the answer to a call, or an event.
#[derive(Deserialize)]
struct Incoming<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<Complaint<'a>>,
}

#[derive(Deserialize)]
struct Complaint<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl Session {
    /// Begins to talk to who listens there. A process that wants to exit waits for a session to end, unless that wants to be
    /// told (`NodeRuntime.notifyWhenWaitingForDisconnect`, src/inspector/node_protocol.pdl of node).
    pub(super) fn open(process: ProcessId, address: SocketAddr) -> Result<Self, Refused> {
        let id = first_id(&list(process, address)?)?;
        let stream = Stream::new(connect(process, address)?, GREETS_WITHIN);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connected = client_with_config(format!("ws://{address}/{id}"), stream, Some(config));
        let (socket, _) = connected.map_err(|error| match error {
            HandshakeError::Failure(error) => failed(error),
            HandshakeError::Interrupted(_) => failed(io::Error::from(io::ErrorKind::TimedOut).into()),
        })?;
        let mut session = Self {
            socket,
            calls: 0,
            is_leaving: false,
        };
        let told = json!({ "enabled": true });
        session.call("NodeRuntime.notifyWhenWaitingForDisconnect", &told, GREETS_WITHIN)?;
        Ok(session)
    }

    /// Calls a method; its result, as JSON.
    pub(super) fn call(
        &mut self,
        method: &str,
        parameters: &Value,
        patience: Duration,
    ) -> Result<String, Refused> {
        self.calls += 1;
        self.socket.get_mut().allow(patience);
        let request = json!({ "id": self.calls, "method": method, "params": parameters });
        self.socket
            .send(Message::text(request.to_string()))
            .map_err(failed)?;
        loop {
            let Message::Text(text) = self.socket.read().map_err(failed)? else {
                continue;
            };
            let incoming = self.take(&text)?;
            if incoming.id != Some(self.calls) {
                continue;
            }
            return match (incoming.result, incoming.error) {
                (_, Some(Complaint { message })) => {
                    let message = sanitize::text(message.as_bytes());
                    Err(Refused::Declined(format!(
                        "its inspector refuses {method}: {message}"
                    )))
                }
                (Some(result), None) => Ok(result.get().to_owned()),
                (None, None) => Err(Refused::Answer("it has neither a result nor an error")),
            };
        }
    }

    /// Whether the process wants to exit and waits for the end of the session, or has ended it.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.socket.get_mut().allow(GLANCE);
        let until = Instant::now() + GLANCE;
        while !self.is_leaving && Instant::now() < until {
            let taken = match self.socket.read() {
                Ok(Message::Text(text)) => self.take(&text).map(|_| ()),
                Ok(_) => Ok(()),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => Err(failed(error)),
            };
            self.is_leaving |= taken.is_err();
        }
        self.is_leaving
    }

    /// Whether that was seen.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Reads a message, and remembers it when the process wants to exit.
    fn take<'a>(&mut self, text: &'a str) -> Result<Incoming<'a>, Refused> {
        let incoming: Incoming =
            serde_json::from_str(text).map_err(|_| Refused::Answer("it is no message"))?;
        self.is_leaving |= incoming.method.as_deref() == Some("NodeRuntime.waitingForDisconnect");
        Ok(incoming)
    }
}

fn failed(error: Error) -> Refused {
    let error = match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    };
    call("talk to its inspector".to_owned(), error)
}

/// The list of what can be talked to.
fn list(process: ProcessId, address: SocketAddr) -> Result<String, Refused> {
    let mut stream = Stream::new(connect(process, address)?, GREETS_WITHIN);
    let mut ask = || -> io::Result<String> {
        // It answers to nobody who calls it by a name (a guard against DNS rebinding).
        write!(stream, "GET /json/list HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        // It leaves the connection open.
        while body(&answer)?.is_none() {
            match stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length if answer.len() + length <= MAX_LIST => answer.extend_from_slice(&piece[..length]),
                _ => return Err(io::ErrorKind::FileTooLarge.into()),
            }
        }
        Ok(body(&answer)?.unwrap_or_default())
    };
    ask().map_err(|error| call(format!("GET http://{address}/json/list"), error))
}

/// The body of an answer of HTTP, once it has come.
fn body(answer: &[u8]) -> io::Result<Option<String>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(answer).map_err(|_| invalid())?;
    let httparse::Status::Complete(begin) = parsed else {
        return Ok(None);
    };
    let mut headers = response.headers.iter();
    let length = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.trim().parse().ok());
    let length: usize = length
        .filter(|_| response.code == Some(200))
        .ok_or_else(invalid)?;
    let body = answer[begin..].get(..length);
    Ok(body.map(|body| String::from_utf8_lossy(body).into_owned()))
}

/// The program itself comes first; what else there may be are its workers.
fn first_id(list: &str) -> Result<String, Refused> {
    let targets: Vec<Target> =
        serde_json::from_str(list).map_err(|_| Refused::Answer("it is no list of targets"))?;
    let id = targets.into_iter().next().map(|target| target.id);
    let is_id = |id: &Cow<str>| {
        id.len() <= MAX_ID
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let id = id
        .filter(is_id)
        .ok_or(Refused::Answer("nothing in its list can be talked to"))?;
    Ok(id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::{body, first_id};

    #[test]
    fn a_list_of_20() {
        let list = "[ {\n  \"description\": \"node.js instance\",\n  \"id\": \"7cc8ca47-2674-47b0-a944-0c38548df97a\",\n  \
                    \"title\": \"a.js\",\n  \"type\": \"node\"\n} ]\n\n";
        let answer = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{list}",
            list.len()
        );
        for length in 0..answer.len() {
            assert_eq!(body(&answer.as_bytes()[..length]).unwrap(), None);
        }
        let body = body(answer.as_bytes()).unwrap().unwrap();
        assert_eq!(first_id(&body).unwrap(), "7cc8ca47-2674-47b0-a944-0c38548df97a");
    }

    #[test]
    fn what_is_no_list_is_no_answer() {
        for answer in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(body(answer.as_bytes()).is_err(), "{answer}");
        }
        for list in [
            "",
            "[]",
            "{}",
            "[7]",
            r#"[{"id":"a/../b"}]"#,
            r#"[{"id":"a\r\nb"}]"#,
        ] {
            assert!(first_id(list).is_err(), "{list}");
        }
    }
}

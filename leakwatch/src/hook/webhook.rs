//! An HTTP server that is told by POST.

use std::{fmt, str::FromStr, time::Duration};

use ureq::{
    Agent,
    http::Uri,
    tls::{RootCerts, TlsConfig},
};

/// Where to, and how.
#[derive(Clone)]
pub struct Webhook {
    url: Uri,
    agent: Agent,
}

/// Why a URL is none to post to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither of the schemes.
    #[error("a webhook is http://HOST... or https://HOST...")]
    Scheme,
}

impl FromStr for Webhook {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url: Uri = text.parse().map_err(|_| UrlError::Scheme)?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
            return Err(UrlError::Scheme);
        }
        Ok(Self::new(url, TIMEOUT))
    }
}

/// From connecting to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Webhook {
    fn new(url: Uri, timeout: Duration) -> Self {
        // The certificates that the host trusts, its own authority included.
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            // A redirect could take names of processes and functions to somebody else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("leakwatch/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            url,
            agent: config.into(),
        }
    }

    /// Posts the document and waits for the answer: blocks.
    pub(super) fn post(&self, document: &[u8]) -> Result<(), PostError> {
        let answer = self
            .agent
            .post(&self.url)
            .content_type("application/json")
            .send(document)
            .map_err(Box::new)?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(PostError::Status(status.as_u16()))
        }
    }
}

/// Why nobody was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error(transparent)]
    Http(#[from] Box<ureq::Error>),
    #[error("it answered with status {0}; redirects are not followed")]
    Status(u16),
}

/// The host only: the path of a webhook is often its password.
impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host().unwrap_or_default();
        write!(f, "{}://{host}/...", self.url.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread,
        time::{Duration, Instant},
    };

    use super::{PostError, UrlError, Webhook};

    /// Reads a request and answers with `answer`; returns the request.
    fn serve(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let request = request(&mut stream);
        stream.write_all(answer.as_bytes()).expect("the answer is taken");
        request
    }

    fn request(stream: &mut TcpStream) -> String {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            let read = stream.read(&mut buffer).expect("a request");
            assert!(read > 0, "the request ends: {text}");
            request.extend_from_slice(&buffer[..read]);
        }
    }

    fn local(path: &str) -> (TcpListener, Webhook) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let webhook = format!("http://{address}{path}").parse().expect("a URL");
        (listener, webhook)
    }

    #[test]
    fn the_document_is_posted() {
        let (listener, webhook) = local("/secret?x=1");
        let server =
            thread::spawn(move || serve(&listener, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"));
        webhook.post(b"{\"pid\":1}").expect("it is taken");
        let request = server.join().expect("the server ends");
        assert!(request.starts_with("POST /secret?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(
            request
                .to_lowercase()
                .contains("content-type: application/json\r\n"),
            "{request}"
        );
        assert!(request.ends_with("\r\n\r\n{\"pid\":1}"), "{request}");
        assert!(
            !webhook.to_string().contains("secret"),
            "what is logged has no password"
        );
    }

    #[test]
    fn redirects_are_not_followed() {
        let (elsewhere, _) = local("/");
        elsewhere.set_nonblocking(true).expect("a socket");
        let address = elsewhere.local_addr().expect("an address");
        let (listener, webhook) = local("/");
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{address}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let server = thread::spawn(move || serve(&listener, &answer));
        let outcome = webhook.post(b"{}");
        server.join().expect("the server ends");
        assert!(matches!(outcome, Err(PostError::Status(307))), "{outcome:?}");
        assert!(elsewhere.accept().is_err(), "nobody was told elsewhere");
    }

    #[test]
    fn errors_are_told() {
        let (listener, webhook) = local("/");
        let server = thread::spawn(move || {
            serve(
                &listener,
                "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
        });
        assert!(webhook.post(b"{}").is_err());
        server.join().expect("the server ends");
        let (listener, webhook) = local("/");
        drop(listener);
        assert!(matches!(webhook.post(b"{}"), Err(PostError::Http(_))));
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let (listener, webhook) = local("/");
        let webhook = Webhook::new(webhook.url, Duration::from_millis(300));
        let started = Instant::now();
        let outcome = webhook.post(b"{}");
        assert!(outcome.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(listener);
    }

    #[test]
    fn only_http_is_a_webhook() {
        for wrong in [
            "",
            "hooks.example.com",
            "file:///etc/passwd",
            "ftp://example.com/",
            "http://",
            "http:///x",
        ] {
            assert_eq!(
                wrong.parse::<Webhook>().map(|_| ()),
                Err(UrlError::Scheme),
                "{wrong}"
            );
        }
        for right in ["http://127.0.0.1:9/x", "https://hooks.example.com/services/T0/B0"] {
            assert!(right.parse::<Webhook>().is_ok(), "{right}");
        }
    }
}

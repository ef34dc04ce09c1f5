//! A server that answers and keeps the connection when the client wants to ask again, as five in a hundred say; they
//! hang up instead.
//! leaky: what the client has closed stays among the kept, in CLOSE_WAIT.

mod steady;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

#[derive(Default)]
struct Server {
    kept: Vec<TcpStream>,
}

impl Server {
    #[inline(never)]
    fn accept_client(listener: &TcpListener) -> TcpStream {
        listener.accept().expect("a client").0
    }

    fn serve(&mut self, listener: &TcpListener, fixed: bool) {
        loop {
            let mut client = Self::accept_client(listener);
            let mut question = [0];
            client.read_exact(&mut question).expect("a question");
            client.write_all(b"42").expect("an answer");
            if question == [b'k'] {
                self.kept.push(client);
            }
            if fixed {
                self.kept.retain(|client| !hung_up(client));
            }
        }
    }
}

fn hung_up(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a socket");
    matches!(client.peek(&mut [0]), Ok(0))
}

fn ask(server: SocketAddr, question: u8) {
    let mut connection = TcpStream::connect(server).expect("the server");
    connection.write_all(&[question]).expect("a question");
    connection.read_exact(&mut [0; 2]).expect("an answer");
}

fn main() {
    let run = steady::Run::from_command_line();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || Server::default().serve(&listener, run.fixed));
    for request in run.requests() {
        ask(address, if request % 20 == 0 { b'k' } else { b'c' });
    }
}

//! Grower: a pool takes one more connection a second, up to its size, and all of them are used in turn.

mod steady;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

const SIZE: usize = 120;

fn answer(mut client: TcpStream) {
    let mut question = [0; 8];
    while client.read_exact(&mut question).is_ok() {
        client.write_all(&question).expect("the pool");
    }
}

#[inline(never)]
fn open_connection(server: SocketAddr) -> TcpStream {
    TcpStream::connect(server).expect("the server")
}

fn main() {
    let run = steady::Run::from_command_line();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || answer(client.expect("the pool")));
        }
    });
    let mut pool: Vec<TcpStream> = Vec::new();
    for request in run.requests() {
        if pool.len() < SIZE && run.seconds_before(request) >= pool.len() {
            pool.push(open_connection(address));
        }
        let turn = request as usize % pool.len();
        pool[turn]
            .write_all(&u64::from(request).to_le_bytes())
            .expect("the server");
        pool[turn].read_exact(&mut [0; 8]).expect("the server");
    }
}

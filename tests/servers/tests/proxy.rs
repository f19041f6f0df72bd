//! The proxy carries, cuts, refuses and keeps silent, over real sockets.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use oarlock_test_servers::{Proxy, Redis, redis};

/// A server that sends back what it gets, to as many clients as come.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn says(stream: &mut TcpStream, word: &str) -> std::io::Result<String> {
    stream.write_all(word.as_bytes())?;
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back)?;
    Ok(String::from_utf8(back).unwrap())
}

#[test]
fn it_carries_both_ways_also_a_lot() {
    let proxy = Proxy::start(&echo()).unwrap();
    let mut stream = connect(&proxy);
    assert_eq!(says(&mut stream, "hello").unwrap(), "hello");
    let much: Vec<u8> = (0..4_000_000_u32).map(|number| number as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = much.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut back = vec![0; much.len()];
    stream.read_exact(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == much, "bytes were changed");
    assert_eq!(proxy.carried(), 2 * (much.len() as u64 + 5));
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_side_that_is_done_is_told_to_the_other() {
    let proxy = Proxy::start(&echo()).unwrap();
    let mut stream = connect(&proxy);
    stream.write_all(b"last words").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "last words");
}

#[test]
fn a_reset_cuts_all_and_refuses_until_it_passes_again() {
    let proxy = Proxy::start(&echo()).unwrap();
    let mut streams: Vec<TcpStream> = (0..5).map(|_| connect(&proxy)).collect();
    for stream in &mut streams {
        says(stream, "hello").unwrap();
    }
    proxy.reset().unwrap();
    for stream in &mut streams {
        let error = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let refused = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(proxy.connections(), 0);
    proxy.pass().unwrap();
    assert_eq!(says(&mut connect(&proxy), "again").unwrap(), "again");
}

#[test]
fn swallowed_bytes_move_on_when_it_passes_and_a_cut_reaches_who_waits() {
    let proxy = Proxy::start(&echo()).unwrap();
    let mut stream = connect(&proxy);
    says(&mut stream, "hello").unwrap();
    proxy.swallow();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = says(&mut stream, "quiet").unwrap_err();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()), "{error}");
    // New connections are taken, and are silent too.
    let mut other = connect(&proxy);
    other.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(says(&mut other, "quiet").is_err());
    proxy.pass().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"quiet");

    proxy.swallow();
    stream.write_all(b"never arrives").unwrap();
    proxy.reset().unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_dropped_proxy_leaves_no_connection_and_no_port() {
    let proxy = Proxy::start(&echo()).unwrap();
    let mut stream = connect(&proxy);
    says(&mut stream, "hello").unwrap();
    proxy.swallow();
    let address = proxy.address();
    drop(proxy);
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn it_stands_before_a_real_server_by_its_uri() {
    let redis = Redis::start(redis::Options::default()).unwrap();
    let proxy = Proxy::start(&redis.uri()).unwrap();
    assert_eq!(proxy.uri(&redis.uri()), format!("redis://{}", proxy.address()));
    let amqp = proxy.uri("amqp://guest:guest@127.0.0.1:1/name");
    assert_eq!(amqp, format!("amqp://guest:guest@{}/name", proxy.address()));
    let mut stream = connect(&proxy);
    stream.write_all(b"PING\r\n").unwrap();
    let mut pong = [0; 7];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"+PONG\r\n");
}

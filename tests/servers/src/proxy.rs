//! A TCP proxy on the loopback address that fails on demand: it cuts, refuses, or keeps silent.
//!
//! Called by tests that cut the wire between a client and a server. It knows nothing of what it carries.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::ports::Port;
use crate::{Error, Result, wait};

/// More than the tests of one system open; each costs two threads.
const MOST_CONNECTIONS: usize = 256;
/// How often the listening thread looks for a connection, and a full one for room.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a write may wait for its reader before it looks whether it was cut.
const WRITE: Duration = Duration::from_millis(100);
/// A cut is done when its threads have ended.
const CUT: Duration = Duration::from_secs(10);

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Swallow,
    End,
}

/// A proxy before one server. Cuts all and ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    state: Arc<State>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    port: Port,
    target: SocketAddr,
    mode: Mutex<Mode>,
    changed: Condvar,
    /// Nothing while connections are refused.
    listener: Mutex<Option<TcpListener>>,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Bytes that went to the server and from it.
    carried: AtomicU64,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
}

impl Proxy {
    /// Starts one before `target`, such as `127.0.0.1:5672`; also taken out of a URI like `amqp://guest:guest@127.0.0.1:5672/name`.
    pub fn start(target: &str) -> Result<Self> {
        let name = authority(target);
        let target = name.to_socket_addrs().map_err(Error::io(format!("the address {name}")))?.next();
        let target = target.ok_or_else(|| Error::io(name)(ErrorKind::NotFound.into()))?;
        let port = Port::take()?;
        let listener = Mutex::new(Some(listen(&port)?));
        let state = Arc::new(State {
            port,
            target,
            mode: Mutex::new(Mode::Pass),
            changed: Condvar::new(),
            listener,
            connections: Mutex::new(Vec::new()),
            carried: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        Ok(Self { listening: Some(std::thread::spawn(move || shared.accept())), state })
    }

    /// Where clients connect: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.state.port.number()
    }

    /// A URI of the server with this proxy in the place of its host and port.
    pub fn uri(&self, of: &str) -> String {
        of.replacen(authority(of), &self.address(), 1)
    }

    /// Cuts every connection with a reset (RST) on both sides, and refuses new ones until [`Self::pass`].
    pub fn reset(&self) -> Result<()> {
        *locked(&self.state.listener) = None;
        self.state.cut()
    }

    /// Keeps every connection open and takes new ones, but moves no byte until [`Self::pass`], as a network does that lost its way.
    /// What was under way when this is called may still arrive.
    pub fn swallow(&self) {
        self.state.set(Mode::Swallow);
    }

    /// Lets everything through again; what waited since [`Self::swallow`] moves on.
    pub fn pass(&self) -> Result<()> {
        let mut listener = locked(&self.state.listener);
        if listener.is_none() {
            *listener = Some(listen(&self.state.port)?);
        }
        drop(listener);
        self.state.set(Mode::Pass);
        Ok(())
    }

    /// How many connections are open through it.
    pub fn connections(&self) -> usize {
        locked(&self.state.connections).len()
    }

    /// How many bytes it has carried, in both directions.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.set(Mode::End);
        *locked(&self.state.listener) = None;
        let _ = self.listening.take().map(JoinHandle::join);
        let _ = self.state.cut();
    }
}

impl State {
    /// Takes connections until the end.
    fn accept(self: Arc<Self>) {
        while *locked(&self.mode) != Mode::End {
            if !self.accept_one() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Takes a connection where one waits. Holds the listener meanwhile, so that a cut finds either none or all of it.
    fn accept_one(self: &Arc<Self>) -> bool {
        let listener = locked(&self.listener);
        let has_room = locked(&self.connections).len() < MOST_CONNECTIONS;
        let accepted = listener.as_ref().filter(|_| has_room).and_then(|listener| listener.accept().ok());
        let Some((client, _)) = accepted else { return false };
        // Where the server is down the client is told so by a closed connection.
        if let Ok(connection) = self.connect(client) {
            self.begin(connection);
        }
        true
    }

    fn connect(&self, client: TcpStream) -> std::io::Result<Connection> {
        client.set_nonblocking(false)?;
        let server = TcpStream::connect_timeout(&self.target, CUT)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(WRITE))?;
        }
        Ok(Connection { client, server, cut: AtomicBool::new(false) })
    }

    /// Carries both directions in a thread each. The last one to end closes the connection.
    fn begin(self: &Arc<Self>, connection: Connection) {
        let connection = Arc::new(connection);
        locked(&self.connections).push(Arc::clone(&connection));
        let back = (Arc::clone(self), Arc::clone(&connection));
        let there = (Arc::clone(self), connection);
        std::thread::spawn(move || {
            let (state, connection) = there;
            let backwards = std::thread::spawn(move || back.0.carry(&back.1, &back.1.server, &back.1.client));
            state.carry(&connection, &connection.client, &connection.server);
            let _ = backwards.join();
            locked(&state.connections).retain(|other| !Arc::ptr_eq(other, &connection));
        });
    }

    /// Carries bytes one way until one side ends it or it is cut.
    fn carry(&self, connection: &Connection, mut from: &TcpStream, to: &TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            // Counted first: who has read them all may ask at once how many they were.
            self.carried.fetch_add(read as u64, Ordering::Relaxed);
            if !self.write(connection, to, &buffer[..read]) {
                self.carried.fetch_sub(read as u64, Ordering::Relaxed);
                break;
            }
        }
        if !connection.cut.load(Ordering::Acquire) {
            // One side said it is done: the other is told, and may still answer.
            self.wait_to_pass(connection);
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Writes all, as soon as bytes may pass. Returns false where the connection is over.
    fn write(&self, connection: &Connection, mut to: &TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if !self.wait_to_pass(connection) {
                return false;
            }
            match to.write(bytes) {
                Ok(0) => return false,
                Ok(written) => bytes = &bytes[written..],
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits while bytes are swallowed. Returns false where the connection was cut.
    fn wait_to_pass(&self, connection: &Connection) -> bool {
        let is_cut = || connection.cut.load(Ordering::Acquire);
        let mut mode = locked(&self.mode);
        while *mode == Mode::Swallow && !is_cut() {
            mode = self.changed.wait(mode).unwrap_or_else(PoisonError::into_inner);
        }
        !is_cut()
    }

    fn set(&self, mode: Mode) {
        *locked(&self.mode) = mode;
        self.changed.notify_all();
    }

    /// Cuts every connection with a reset, and waits until all are closed.
    fn cut(&self) -> Result<()> {
        for connection in locked(&self.connections).iter() {
            connection.cut();
        }
        // Under the lock, so that nobody is between looking and waiting.
        let mode = locked(&self.mode);
        self.changed.notify_all();
        drop(mode);
        wait::until("the proxy's connections are cut", CUT, || match locked(&self.connections).len() {
            0 => Ok(()),
            open => Err(format!("{open} are open")),
        })
    }
}

impl Connection {
    /// Ends both threads. The sockets close when the last lets go of them, and with no time to linger that is a reset.
    fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        for stream in [&self.client, &self.server] {
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
            // Wakes the thread that reads, and sends nothing.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

fn listen(port: &Port) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()));
    let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(Error::io(format!("the proxy's port {}", port.number())))
}

/// `host:port` of a URI or of itself.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A wire between a program and a server that can be cut. It passes bytes on and knows nothing of them: TLS goes from end
//! to end, so that certificate, HTTP version and compression are those of the real server. To strike one certain request
//! is for tests that can read it (`tests/black_box/proxy.rs`).

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often a wire that carries nothing looks whether it may.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes that are passed on at once.
const CHUNK: usize = 32 * 1024;

/// What a wire does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It passes them on.
    Carry,
    /// It keeps them and passes them on later: whoever waits sees a server that does not answer.
    Hold,
    /// It ends every connection, and takes no other.
    Refuse,
}

/// A port of 127.0.0.1 that leads to another one. It is closed when this is dropped.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    mode: AtomicU8,
    open: Mutex<Open>,
}

/// The connections that are open now, both ends of each.
#[derive(Debug, Default)]
struct Open {
    made: u64,
    connections: BTreeMap<u64, [TcpStream; 2]>,
}

impl Wire {
    /// Listens on a free port, and leads to `upstream`.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn to(upstream: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port on 127.0.0.1")?;
        let address = listener.local_addr().context("a listening socket has no address")?;
        let shared =
            Arc::new(Shared { upstream, mode: AtomicU8::new(Mode::Carry.code()), open: Mutex::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.mode() == ENDED {
                    break;
                }
                if let Ok(client) = client {
                    serving.connect(&client);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done with bytes from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode.code(), Ordering::SeqCst);
        if mode == Mode::Refuse {
            self.shared.cut();
        }
    }

    /// Ends every connection that is open now; others may be made at once. How many those were.
    #[allow(clippy::must_use_candidate, reason = "the number is there for whoever wants to tell it")]
    pub fn cut(&self) -> usize {
        self.shared.cut()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.mode.store(ENDED, Ordering::SeqCst);
        self.shared.cut();
        // Wakes the thread that waits for a client, so that it ends.
        drop(TcpStream::connect(self.address));
    }
}

/// Of a wire that is no more.
const ENDED: u8 = 3;

impl Mode {
    fn code(self) -> u8 {
        match self {
            Self::Carry => 0,
            Self::Hold => 1,
            Self::Refuse => 2,
        }
    }
}

impl Shared {
    fn mode(&self) -> u8 {
        self.mode.load(Ordering::SeqCst)
    }

    /// Connects a client with the server. One that cannot be connected is dropped, and sees the connection end.
    fn connect(self: &Arc<Self>, client: &TcpStream) {
        if self.mode() == Mode::Refuse.code() {
            return;
        }
        let Ok(server) = TcpStream::connect(self.upstream) else {
            return;
        };
        let copies = || Some([client.try_clone().ok()?, server.try_clone().ok()?]);
        let (Some(kept), Some(there), Some(back)) = (copies(), copies(), copies()) else {
            return;
        };
        let number = {
            let mut open = self.open();
            open.made += 1;
            let number = open.made;
            open.connections.insert(number, kept);
            number
        };
        let [client, server] = there;
        let [to_client, from_server] = back;
        for (from, to) in [(client, server), (from_server, to_client)] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                shared.carry(from, to);
                if let Some(ends) = shared.open().connections.remove(&number) {
                    end(&ends);
                }
            });
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            while self.mode() == Mode::Hold.code() {
                thread::sleep(LOOK);
            }
            if chunk.get(..count).is_none_or(|bytes| to.write_all(bytes).is_err()) {
                break;
            }
        }
    }

    fn cut(&self) -> usize {
        let connections = std::mem::take(&mut self.open().connections);
        connections.values().for_each(end);
        connections.len()
    }
}

fn end(ends: &[TcpStream; 2]) {
    for socket in ends {
        // One that has ended already is as good.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with the same byte.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut byte = [0];
                thread::spawn(move || {
                    while client.read_exact(&mut byte).is_ok() && client.write_all(&byte).is_ok() {}
                });
            }
        });
        address
    }

    fn ask(client: &mut TcpStream) -> Option<u8> {
        let mut byte = [7];
        client.write_all(&byte).ok()?;
        client.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    fn connect(wire: &Wire) -> TcpStream {
        let client = TcpStream::connect(wire.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    }

    #[test]
    fn what_is_cut_ends_and_what_comes_after_does_not() {
        let wire = Wire::to(echo()).unwrap();
        let mut first = connect(&wire);
        assert_eq!(ask(&mut first), Some(7));
        assert_eq!(wire.cut(), 1);
        assert_eq!(ask(&mut first), None);
        assert_eq!(ask(&mut connect(&wire)), Some(7));
    }

    #[test]
    fn a_wire_that_refuses_ends_connections_until_it_carries_again() {
        let wire = Wire::to(echo()).unwrap();
        let mut first = connect(&wire);
        assert_eq!(ask(&mut first), Some(7));
        wire.set(Mode::Refuse);
        assert_eq!(ask(&mut first), None);
        assert_eq!(ask(&mut connect(&wire)), None);
        wire.set(Mode::Carry);
        assert_eq!(ask(&mut connect(&wire)), Some(7));
    }

    #[test]
    fn what_is_held_arrives_later() {
        let wire = Wire::to(echo()).unwrap();
        let mut client = connect(&wire);
        assert_eq!(ask(&mut client), Some(7));
        wire.set(Mode::Hold);
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert_eq!(ask(&mut client), None);
        wire.set(Mode::Carry);
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [7]);
    }
}

//! HTTP servers of this process: bound once, served by one router after another, ended in order.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use oarlock_orchestrator::http::{self, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::exit::Failure;

/// The pause before waiting requests are ended again.
const END_WAITS_AGAIN: Duration = Duration::from_millis(50);

/// An address that is listened on.
pub(crate) struct Door {
    listener: std::net::TcpListener,
    /// Where it is, with the port that was chosen.
    pub(crate) address: SocketAddr,
}

/// A server at work.
pub(crate) struct Serving {
    server: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Door {
    /// Begins to listen. `flag` is named where that cannot be.
    pub(crate) fn open(address: SocketAddr, flag: &str) -> Result<Self, Failure> {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        bound.map_err(|e| {
            Failure::usage(format!("cannot listen on {address}: {e}; choose another with {flag}"))
        })
    }

    /// Serves a router to whoever connects from now on. Of two servers at one door end the first at once: both would take.
    pub(crate) fn serve(&self, router: Router) -> Result<Serving, Failure> {
        let listener = self.listener.try_clone().and_then(TcpListener::from_std);
        let listener = listener.map_err(|e| Failure::usage(format!("cannot serve {}: {e}", self.address)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        Ok(Serving { server: tokio::spawn(http::serve(listener, router, stopped)), stop })
    }
}

impl Serving {
    /// Waits for its end, which nobody asked for.
    pub(crate) async fn broken(&mut self) -> Failure {
        let ended = (&mut self.server).await;
        Failure::unreachable(format!("the HTTP server ended: {ended:?}"))
    }

    /// Takes no more connections and lets the requests that are under way end, at most this time. `end_waits` ends those that
    /// wait for a run.
    pub(crate) async fn end(mut self, time: Duration, end_waits: impl Fn()) {
        self.stop.send(()).ok();
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            end_waits();
            // Again and again: until a connection has heard of the end, it may bring one more request that waits.
            if timeout(END_WAITS_AGAIN, &mut self.server).await.is_ok() {
                return;
            }
        }
        // Someone sends half a request and no more: nobody else waits for that.
        self.server.abort();
    }
}

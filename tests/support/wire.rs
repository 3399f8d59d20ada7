//! A wire between a node and what it talks to, that can be cut, or pass bytes in one direction only, or in none.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Everything.
    Open,
    /// Connections break, and none is made.
    Cut,
    /// Nothing arrives, in neither direction, and nobody is told: what is sent waits.
    Silent,
    /// What the node says arrives; what is said to it does not.
    Deaf,
    /// What is said to the node arrives; what it says does not.
    Mute,
}

impl Flow {
    fn passes(self, towards: Towards) -> bool {
        match (self, towards) {
            (Self::Open, _) | (Self::Deaf, Towards::Far) | (Self::Mute, Towards::Node) => true,
            (Self::Cut | Self::Silent, _) | (Self::Deaf, Towards::Node) | (Self::Mute, Towards::Far) => false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Towards {
    Node,
    Far,
}

/// The wire; gone when dropped.
#[derive(Debug)]
pub struct Wire {
    pub address: SocketAddr,
    flow: watch::Sender<Flow>,
    carrying: JoinHandle<()>,
}

impl Wire {
    /// Leads to `far`.
    pub async fn lay(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flow = watch::Sender::new(Flow::Open);
        let seen = flow.clone();
        let carrying = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(near, far, seen.subscribe()));
            }
        });
        Self {
            address,
            flow,
            carrying,
        }
    }

    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
        self.set(Flow::Cut);
    }
}

async fn until(flow: &mut watch::Receiver<Flow>, wanted: impl Fn(Flow) -> bool) {
    drop(flow.wait_for(|flow| wanted(*flow)).await.unwrap());
}

async fn carry(near: TcpStream, far: SocketAddr, mut flow: watch::Receiver<Flow>) {
    let (mut there, mut back) = (flow.clone(), flow.clone());
    let both = async {
        until(&mut there, |flow| flow.passes(Towards::Far)).await;
        // Whoever is at the far end may be away: the connection then breaks.
        let Ok(far) = TcpStream::connect(far).await else {
            return;
        };
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        tokio::select! {
            () = pump(near_reads, far_writes, &mut there, Towards::Far) => {}
            () = pump(far_reads, near_writes, &mut back, Towards::Node) => {}
        }
    };
    tokio::select! {
        () = both => {}
        () = until(&mut flow, |flow| flow == Flow::Cut) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    flow: &mut watch::Receiver<Flow>,
    towards: Towards,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        until(flow, |flow| flow.passes(towards)).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

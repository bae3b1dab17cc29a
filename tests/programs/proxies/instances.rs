//! Instances of Wavegate behind a proxy: in this process, or programs of their own that can be
//! stopped, killed and started again at the same address.

use std::net::SocketAddr;

use wavegate::simulator::Simulator;

use super::process::own_address;
use crate::harness::admin::number;
use crate::harness::programs::{Running, admin_address, serve};
use crate::harness::{Builder, Gateway, gateway, soon};

/// The addresses of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Instance {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self {
            public: gateway.addr(),
            admin: gateway.app.admin_address(),
        }
    }
}

/// A gateway that trusts the proxy.
pub(crate) fn behind(pbx: &Simulator) -> Builder {
    gateway(pbx).set("server.trusted_proxies", ["127.0.0.1/32"])
}

/// Three gateways with a cache, in this process.
pub(super) async fn three(pbx: &Simulator) -> [Gateway; 3] {
    let start = async || behind(pbx).cache().start().await;
    [start().await, start().await, start().await]
}

/// An instance that is a program of its own.
pub(super) struct Service {
    builder: Builder,
    running: Option<Running>,
    pub(super) instance: Instance,
}

impl Service {
    pub(super) async fn start(pbx: &Simulator) -> Self {
        let (public, admin) = (own_address(), own_address());
        let mut service = Self {
            builder: behind(pbx)
                .cache()
                .set("relay.max_reads_per_minute", 100_000)
                .set("server.listen", [public.to_string()])
                .set("admin.listen", admin.to_string()),
            running: None,
            instance: Instance { public, admin },
        };
        service.start_again().await;
        service
    }

    /// Starts the program at the addresses that it had before.
    pub(super) async fn start_again(&mut self) {
        let (running, public) = serve(&self.builder.write()).await;
        let started = Instance {
            public,
            admin: admin_address(&running),
        };
        assert_eq!(format!("{started:?}"), format!("{:?}", self.instance));
        self.running = Some(running);
    }

    /// Stops it as a supervisor does: it drains.
    pub(super) async fn stop(&mut self) {
        let ended = self.running.take().unwrap().stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.signal("KILL");
        assert_eq!(running.end().await.code, None);
    }

    pub(super) async fn streams(&self) -> u64 {
        number(self.instance.admin, "wavegate_streams_open").await
    }

    /// Waits until it has read a recording since it was started.
    pub(super) async fn until_used(&self) {
        let sample = "wavegate_pbx_downloads_total{pbx=\"office\",outcome=\"begun\"}";
        soon(async { while number(self.instance.admin, sample).await == 0 {} }).await;
    }
}

/// Three programs with a cache.
pub(super) async fn three_services(pbx: &Simulator) -> [Service; 3] {
    let start = async || Service::start(pbx).await;
    [start().await, start().await, start().await]
}

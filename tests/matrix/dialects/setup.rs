//! The setup of one case: a PBX, a gateway in front of it, and the steps that show the effect of a
//! switch.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Method;
use tokio::time::timeout;
use wavegate::simulator::{Api, Observations, Simulator, Switch, wav};

use super::outcome::{Asked, Outcome, came_through, listed, outcome};
use crate::harness::wire::Wire;
use crate::harness::{Answer, Gateway, NAME, gateway_for, jwt};

/// A counter that has not reached its value by then never will.
const SETTLING: Duration = Duration::from_secs(10);

/// The recording of every case, made once, since there are thousands of cases.
static MUSIC: LazyLock<Bytes> = LazyLock::new(|| wav::music(3));

/// The part that range requests ask for.
pub(super) const PART: Range<usize> = 1000..2000;

/// All inputs of a case.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) with: &'static [Switch],
    pub(super) api: Option<Api>,
    pub(super) name: Name,
    pub(super) way: Way,
    pub(super) pbx: &'static str,
    pub(super) fault: Option<&'static str>,
    pub(super) stale_tickets: bool,
    pub(super) answer_delay: Duration,
    pub(super) act: Act,
    /// Whether the gateway has its cache on.
    pub(super) cache: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            with: &[],
            api: None,
            name: Name::Old,
            way: Way::Address,
            pbx: "",
            fault: None,
            stale_tickets: false,
            answer_delay: Duration::ZERO,
            act: Act::Fetch,
            cache: false,
        }
    }
}

/// The steps of a case; the outcome is that of the last step. With the cache each fetch asks for
/// another recording, since the PBX does not see the second fetch of one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Fetch,
    FetchTwice,
    /// The same recording twice, with the cache, too.
    FetchAgain,
    /// Up to this many fetches in a row; the first that comes through ends it.
    FetchAll(u32),
    /// The tokens expire between two fetches.
    ExpireBetween,
    /// The tokens expire, and other programs take all slots for tokens.
    LoseSlotBetween,
    /// Our address is locked out between two fetches.
    LockOutBetween,
    /// Another program logs in with our account between two fetches.
    ForeignLoginBetween,
    /// The tokens expire during the download.
    ExpireWhileRunning,
    /// The caller requests the list of the day.
    List,
    /// The caller requests a range.
    FetchRange,
    /// This many other downloads have stalled. They stay stalled until the PBX has seen the request
    /// for this one.
    FetchBehind(u64),
    /// The same, but they stay stalled until this one has its answer.
    FetchBeside(u64),
}

/// The kind of the recording's name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    /// A call long ago.
    Old,
    /// A call that has just begun.
    Young,
    /// A name with characters that have a meaning in a query.
    Odd,
    Blank,
    /// A name that the PBX does not have, outside its own grammar.
    Unknown,
    /// A name that the PBX does not have, in its own grammar.
    Missing,
}

/// The address by which the gateway knows the PBX.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Address,
    Localhost,
    /// Through a wire that records the words of the PBX.
    Wire,
    /// Through a wire that changes addresses: the last numbers of 127.0.0.x, one per connection.
    Nat(&'static [u8]),
}

/// The result of a case.
#[derive(Debug)]
pub(super) struct Observed {
    /// The name of the recording.
    pub(super) name: String,
    pub(super) last: Outcome,
    pub(super) as_on_pbx: Option<Bytes>,
    pub(super) seen: Observations,
    pub(super) said: Vec<u8>,
}

impl Name {
    fn text(self) -> String {
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
        };
        match self {
            Self::Old => NAME.to_owned(),
            Self::Young => format!("20260302091407-{}.7-1001-1003-Internal.wav", now()),
            Self::Odd => "20260302091407-1772442845.1203-+44 20%2B&a=b-1003-Inbound.wav".to_owned(),
            Self::Blank => " ".to_owned(),
            Self::Unknown => "unknown.wav".to_owned(),
            Self::Missing => "20260302091407-1772442845.9999-1001-1003-Internal.wav".to_owned(),
        }
    }
}

impl Setup {
    pub(super) async fn run(
        &self,
        api: Api,
        switch: Option<Switch>,
        counted: impl Fn(&Observations) -> bool,
    ) -> Observed {
        let name = self.name.text();
        let pbx = self.simulator(api, switch, &name).await;
        let wire = match self.way {
            Way::Wire => Some(Wire::to(&pbx).await),
            Way::Nat(last) => {
                let source = |last: &u8| Ipv4Addr::new(127, 0, 0, *last);
                let sources: Vec<_> = last.iter().map(source).collect();
                Some(Wire::behind_nat(&pbx, &sources).await)
            }
            Way::Address | Way::Localhost => None,
        };
        let url = match (&wire, self.way) {
            (Some(wire), _) => wire.url().to_owned(),
            (None, Way::Localhost) => pbx.url().replace("127.0.0.1", "localhost"),
            (None, _) => pbx.url(),
        };
        let gateway = self.gateway(&pbx, api, url).await;

        let last = self.act(&gateway, &pbx, api, &name).await;
        let last = last.unwrap_or_else(|early| early);

        // The PBX may count an event just after the gateway has noticed it.
        let _ = timeout(SETTLING, pbx.until(counted)).await;
        let observed = Observed {
            last,
            name: name.clone(),
            as_on_pbx: pbx.recording_bytes(&name),
            seen: pbx.seen(),
            said: wire.as_ref().map(Wire::said).unwrap_or_default(),
        };
        assert!(gateway.app.shut_down().await);
        // Whatever the PBX, the gateway uses no ticket twice.
        assert_eq!(observed.seen.tickets_used_twice, 0, "{self:?}");
        observed
    }

    async fn simulator(&self, api: Api, switch: Option<Switch>, name: &str) -> Simulator {
        let mut builder = Simulator::builder(api).answer_delay(self.answer_delay);
        if !matches!(self.name, Name::Unknown | Name::Missing) {
            builder = builder.recording(name, MUSIC.clone());
        }
        for other in self.others() {
            builder = builder.recording(*other, MUSIC.clone());
        }
        for &switch in self.with.iter().chain(&switch) {
            builder = builder.switch(switch);
        }
        if let Some(fault) = self.fault {
            builder = builder.fault(fault.parse().unwrap());
        }
        if self.stale_tickets {
            builder = builder.ticket_life(Duration::ZERO);
        }
        builder.start().await.unwrap()
    }

    /// The recordings of the other fetches, if the cache is on.
    fn others(&self) -> &'static [&'static str] {
        match self.act {
            _ if !self.cache => &[],
            Act::Fetch
            | Act::FetchAgain
            | Act::FetchAll(_)
            | Act::ExpireWhileRunning
            | Act::List
            | Act::FetchRange => &[],
            Act::FetchTwice
            | Act::ExpireBetween
            | Act::LoseSlotBetween
            | Act::LockOutBetween
            | Act::ForeignLoginBetween
            | Act::FetchBehind(_)
            | Act::FetchBeside(_) => &["other-1.wav", "other-2.wav"],
        }
    }

    /// The recording that is fetched before or beside the one of this name.
    fn other<'a>(&self, number: usize, name: &'a str) -> &'a str {
        self.others().get(number).copied().unwrap_or(name)
    }

    async fn gateway(&self, pbx: &Simulator, api: Api, url: String) -> Gateway {
        let gateway = gateway_for(pbx, self.api.unwrap_or(api));
        let gateway = if self.cache {
            gateway.cache().set("cache.linger_ms", 0)
        } else {
            gateway
        };
        gateway
            .pbx_url(url)
            .set("pbx.retry_delay_ms", 5)
            .lines("[pbx]", self.pbx)
            .start()
            .await
    }

    /// The outcome of the last step, or of an earlier step that should have come through but
    /// failed.
    async fn act(
        &self,
        gateway: &Gateway,
        pbx: &Simulator,
        api: Api,
        name: &str,
    ) -> Result<Outcome, Outcome> {
        let fetch = || async { outcome(ask(gateway, name).await).await };
        let fetch_other = || async { outcome(ask(gateway, self.other(0, name)).await).await };
        let last = match self.act {
            Act::Fetch => fetch().await,
            Act::FetchTwice => {
                came_through(fetch_other().await)?;
                fetch().await
            }
            Act::FetchAgain => {
                came_through(fetch().await)?;
                fetch().await
            }
            Act::FetchAll(times) => {
                for _ in 1..times {
                    let outcome = fetch().await;
                    if matches!(outcome, Outcome::Bytes(_)) {
                        return Ok(outcome);
                    }
                }
                fetch().await
            }
            Act::LoseSlotBetween => {
                came_through(fetch_other().await)?;
                pbx.expire_tokens();
                pbx.occupy_tokens(8);
                fetch().await
            }
            Act::LockOutBetween => {
                came_through(fetch_other().await)?;
                // Another program behind our address has the wrong password.
                for _ in 0..5 {
                    let other = gateway_for(pbx, api).password("wrong").start().await;
                    let refused = outcome(ask(&other, name).await).await;
                    assert!(matches!(refused, Outcome::Problem(_)), "{refused:?}");
                }
                fetch().await
            }
            Act::ExpireBetween => {
                came_through(fetch_other().await)?;
                pbx.expire_tokens();
                fetch().await
            }
            Act::ForeignLoginBetween => {
                came_through(fetch_other().await)?;
                let other = self.gateway(pbx, api, pbx.url()).await;
                came_through(outcome(ask(&other, name).await).await)?;
                assert!(other.app.shut_down().await);
                fetch().await
            }
            Act::ExpireWhileRunning => {
                let running = ask(gateway, name).await;
                pbx.expire_tokens();
                outcome(running).await
            }
            Act::List => {
                let window =
                    "/recordings?from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z&caller=1001";
                let call = gateway.request(Method::GET, window).bearer(&jwt("alice"));
                listed(call.send().await).await
            }
            Act::FetchRange => {
                let call = gateway.get(name).bearer(&jwt("alice"));
                let range = format!("bytes={}-{}", PART.start, PART.end - 1);
                outcome(call.header("range", &range).try_send().await).await
            }
            Act::FetchBehind(others) => {
                let stalled = self.stall(gateway, pbx, name, others).await;
                let asked = async {
                    pbx.until(|seen| seen.requests.download > others).await;
                    drop(stalled);
                };
                tokio::join!(fetch(), asked).0
            }
            Act::FetchBeside(others) => {
                let _stalled = self.stall(gateway, pbx, name, others).await;
                fetch().await
            }
        };
        Ok(last)
    }

    /// Starts downloads that stall after their first bytes.
    async fn stall(
        &self,
        gateway: &Gateway,
        pbx: &Simulator,
        name: &str,
        count: u64,
    ) -> Vec<Answer> {
        let mut stalled = Vec::new();
        for running in 1..=count {
            pbx.inject("download:stall-after=1000".parse().unwrap());
            let other = self.other(stalled.len(), name);
            stalled.push(ask(gateway, other).await.unwrap());
            pbx.until(|seen| seen.downloads_running == running).await;
        }
        stalled
    }
}

async fn ask(gateway: &Gateway, name: &str) -> Asked {
    gateway.get(name).bearer(&jwt("alice")).try_send().await
}

//! Two instances race for the lease while their connections to the store are cut at every step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use wavegate::simulator::Simulator;

use super::jealous;
use crate::harness::store::{STORE_PASSWORD, Store};
use crate::harness::{Gateway, NAME, gateway, jwt};

/// Twice the life of a lease: nobody may be without a holder for longer.
const TWO_LEASES: Duration = Duration::from_secs(20);
/// Commands about an account in one race of two instances, and some more.
const STEPS: usize = 9;

/// The moment of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The store does not get the command.
    BeforeCommand,
    /// The store carries it out, and the answer is lost.
    BeforeAnswer,
}

/// A forwarder to the store that cuts all connections at a command.
struct Cutter {
    addr: SocketAddr,
    /// The commands about an account that still pass, and what happens then.
    armed: Arc<Mutex<Option<(usize, Moment)>>>,
}

impl Cutter {
    async fn to(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let armed = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&armed);
        tokio::spawn(async move {
            let cut = watch::Sender::new(0);
            while let Ok((instance, _)) = listener.accept().await {
                let (armed, cut) = (Arc::clone(&shared), cut.clone());
                tokio::spawn(async move {
                    let mut was_cut = cut.subscribe();
                    let store = TcpStream::connect(store).await.ok()?;
                    tokio::select! {
                        _ = forward(instance, store, armed, cut) => {}
                        _ = was_cut.changed() => {}
                    }
                    Some(())
                });
            }
        });
        Self { addr, armed }
    }

    fn arm(&self, step: usize, moment: Moment) {
        *self.armed.lock().unwrap() = Some((step, moment));
    }

    fn is_armed(&self) -> bool {
        self.armed.lock().unwrap().is_some()
    }
}

async fn forward(
    instance: TcpStream,
    store: TcpStream,
    armed: Arc<Mutex<Option<(usize, Moment)>>>,
    cut: watch::Sender<u64>,
) -> Option<()> {
    let (from_instance, mut to_instance) = instance.into_split();
    let (mut from_store, mut to_store) = store.into_split();
    // Answers are held back from the cut on; the first one then ends everything.
    let holds = Arc::new(watch::Sender::new(false));
    let held = holds.subscribe();
    let cut_all = cut.clone();
    let answers = async move {
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = from_store
                .read(&mut buffer)
                .await
                .ok()
                .filter(|count| *count > 0)?;
            if *held.borrow() {
                cut_all.send_modify(|cuts| *cuts += 1);
            }
            to_instance.write_all(&buffer[..count]).await.ok()?;
        }
    };
    let commands = async move {
        let mut from_instance = BufReader::new(from_instance);
        loop {
            let command = command(&mut from_instance).await?;
            let is_of_account = command.windows(8).any(|bytes| bytes == b"account:");
            let moment = if is_of_account {
                count_down(&armed)
            } else {
                None
            };
            match moment {
                Some(Moment::BeforeCommand) => cut.send_modify(|cuts| *cuts += 1),
                Some(Moment::BeforeAnswer) => _ = holds.send_replace(true),
                None => {}
            }
            to_store.write_all(&command).await.ok()?;
        }
    };
    tokio::select! {
        end = answers => end,
        end = commands => end,
    }
}

fn count_down(armed: &Mutex<Option<(usize, Moment)>>) -> Option<Moment> {
    let mut armed = armed.lock().unwrap();
    match &mut *armed {
        Some((0, moment)) => {
            let moment = *moment;
            *armed = None;
            Some(moment)
        }
        Some((left, _)) => {
            *left -= 1;
            None
        }
        None => None,
    }
}

/// One command as it was sent: an array of texts.
async fn command(stream: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> Option<Vec<u8>> {
    let mut command = Vec::new();
    let parts = number_after(b'*', stream, &mut command).await?;
    for _ in 0..parts {
        let length = number_after(b'$', stream, &mut command).await?;
        let start = command.len();
        command.resize(start + length + 2, 0);
        stream.read_exact(&mut command[start..]).await.ok()?;
    }
    Some(command)
}

async fn number_after(
    mark: u8,
    stream: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    command: &mut Vec<u8>,
) -> Option<usize> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await.ok()?;
    let number = std::str::from_utf8(line.strip_prefix(&[mark])?)
        .ok()?
        .trim()
        .parse();
    command.extend(line);
    number.ok()
}

/// The leases that the store gives out, each with its number and its holder, as its own monitor
/// shows them.
async fn watch_leases(store: SocketAddr) -> Arc<Mutex<Vec<(u64, String)>>> {
    let mut stream = TcpStream::connect(store).await.unwrap();
    let login = format!("AUTH {STORE_PASSWORD}\r\nMONITOR\r\n");
    stream.write_all(login.as_bytes()).await.unwrap();
    let leases = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&leases);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let words: Vec<_> = line.split('"').collect();
            let value = |name| {
                let place = words.iter().position(|word| *word == name)?;
                words.get(place + 2).copied()
            };
            if words.contains(&"HSET")
                && let (Some(fence), Some(holder)) = (value("fence"), value("holder"))
            {
                seen.lock()
                    .unwrap()
                    .push((fence.parse().unwrap(), holder.to_owned()));
            }
        }
    });
    leases
}

async fn serves(gateway: &Gateway) -> bool {
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    answer.status() == StatusCode::OK && answer.bytes().await.is_ok()
}

/// Lets both instances race for a token, until both have one.
async fn race(pbx: &Simulator, instances: &[Gateway; 2]) {
    // The reload forgets the tokens that ended early: so many count as the work of another program.
    instances[0].reload().unwrap();
    pbx.expire_tokens();
    let both = async {
        loop {
            let [first, second] = instances;
            let (first, second) = tokio::join!(serves(first), serves(second));
            if first && second {
                return;
            }
        }
    };
    timeout(TWO_LEASES, both)
        .await
        .expect("a holder within the life of a lease");
}

#[tokio::test]
async fn a_cut_at_any_step_leaves_one_holder_for_each_fencing_number_and_never_none_for_long() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let cutter = Cutter::to(store.addr()).await;
    let leases = watch_leases(store.addr()).await;
    let instances = [
        gateway(&pbx).shared(cutter.addr).start().await,
        gateway(&pbx).shared(cutter.addr).start().await,
    ];
    race(&pbx, &instances).await;
    let mut reached = 0;
    for step in 0..STEPS {
        for moment in [Moment::BeforeCommand, Moment::BeforeAnswer] {
            let before = pbx.seen().requests.login;
            cutter.arm(step, moment);
            race(&pbx, &instances).await;
            let logins = pbx.seen().requests.login - before;
            // One for all, and one more of each instance that lost the store in the middle.
            assert!(
                (1..=3).contains(&logins),
                "{logins} after a cut at {step}, {moment:?}"
            );
            reached += usize::from(!cutter.is_armed());
            cutter.armed.lock().unwrap().take();
        }
    }
    assert!(reached > STEPS, "only {reached} cuts took place");
    let mut holders = HashMap::new();
    let leases = leases.lock().unwrap();
    assert!(leases.len() > STEPS);
    for (fence, holder) in leases.iter() {
        let other = holders.insert(*fence, holder);
        assert_eq!(other, None, "fencing number {fence} was given out twice");
    }
}

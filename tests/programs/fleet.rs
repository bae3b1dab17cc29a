//! Several instances as one fleet, around a real Valkey or Redis.
//!
//! They use one token of the PBX, count together, and revoke together. Without the store each goes
//! on alone, and nothing that one of them does locks the others out.

mod cuts;
mod limits;
mod logins;
mod revocations;
mod trouble;

use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::store::Store;
use crate::harness::{Builder, Gateway, NAME, gateway};

/// A PBX on which a second login ends the first token.
async fn jealous() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(2));
    let builder = builder.switch(Switch::SecondLoginErasesFirst);
    builder.start().await.unwrap()
}

fn member(pbx: &Simulator, store: &Store) -> Builder {
    gateway(pbx).shared(store.addr())
}

/// Instances of one fleet.
async fn fleet(pbx: &Simulator, store: &Store, count: usize) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..count {
        gateways.push(member(pbx, store).start().await);
    }
    gateways
}

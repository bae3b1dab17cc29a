//! The shipped configurations of nginx, HAProxy and Caddy, each run for real in front of several
//! instances.
//!
//! The gateway's promises must hold behind each of them, and they are the same for all three. The
//! tests read the shipped files and replace only addresses and paths.

mod fleet;
pub(crate) mod heads;
pub(crate) mod instances;
pub(crate) mod process;
pub(crate) mod shipped;
pub(crate) mod transfers;

use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::{Gateway, NAME, PBX, link};
use instances::{Instance, behind};
use process::Proxy;
use shipped::Kind;

pub(crate) async fn pbx(seconds: u32, switches: &[Switch]) -> Simulator {
    let mut pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(seconds));
    for switch in switches {
        pbx = pbx.switch(*switch);
    }
    pbx.start().await.unwrap()
}

pub(crate) async fn in_front_of(kind: Kind, pbx: &Simulator) -> Option<(Gateway, Proxy)> {
    let gateway = behind(pbx).start().await;
    let proxy = Proxy::start(kind, &[Instance::of(&gateway)]).await?;
    Some((gateway, proxy))
}

pub(crate) fn link_target() -> String {
    format!("/pbx/{PBX}/recordings/{NAME}?link={}", link(PBX, NAME))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_in_no_log_of_caddy_at_its_finest_level() {
    let shipped = "auto_https disable_redirects";
    let finest = format!("{shipped}\n\tdebug");
    let logs = transfers::logs_after_errors(Kind::Caddy, &[(shipped, &finest)]).await;
    let Some((signature, access, rest)) = logs else {
        return;
    };
    assert!(rest.contains("\"debug\""), "{rest}");
    for log in [access, rest] {
        assert!(!log.contains(&signature), "{log}");
    }
}

/// Makes a test of each promise for each proxy.
macro_rules! promises {
    ($($proxy:ident $kind:ident $promises:tt)*) => {$(
        mod $proxy {
            use super::Kind;

            promises!(@each $kind $promises);
        }
    )*};
    (@each $kind:ident {$($file:ident { $($promise:ident)* })*}) => {$($(
        #[tokio::test(flavor = "multi_thread")]
        async fn $promise() {
            super::$file::$promise(Kind::$kind).await;
        }
    )*)*};
}

macro_rules! promises_of_all {
    ($promises:tt) => {
        promises! {
            nginx Nginx $promises
            haproxy Haproxy $promises
            caddy Caddy $promises
        }
    };
}

promises_of_all!({
    transfers {
        a_recording_passes_byte_for_byte_and_both_logs_have_its_id
        nothing_is_held_back_and_a_caller_who_leaves_frees_the_pbx
        a_broken_transfer_stays_broken
        ranges_and_conditions_pass
        a_link_is_in_no_log_of_the_proxy
        a_problem_passes_unchanged
        every_answer_of_an_instance_passes
        a_link_for_one_address_ignores_a_claimed_address
        http_1_0_is_refused_since_it_cannot_tell_a_cut_recording
    }
    heads {
        a_token_with_two_hundred_groups_passes
        a_head_that_is_too_long_gets_the_gateways_answer
    }
    fleet {
        a_recording_is_always_read_by_the_same_instance
        an_instance_that_is_gone_costs_no_request
        a_transfer_of_a_killed_instance_goes_on_at_another
        instances_that_restart_one_after_another_fail_no_request
    }
});

//! A PBX gives a recording to the address for which it issued the ticket, and to no other.

use std::net::{IpAddr, Ipv4Addr};

use wavegate::app::GatewayParts;
use wavegate::simulator::{Api, LoginFields, Simulator, wav};

use crate::harness::wire::Wire;
use crate::harness::{NAME, gateway_for};

const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Login, ticket, download, and again ticket and download. Tickets and downloads leave from
/// different addresses.
const ODD_NAT: &[Ipv4Addr] = &[Ipv4Addr::LOCALHOST, SECOND, THIRD, SECOND, THIRD];

const WITH_ALLOWED_IP: &[Api] = &[Api::SSeries110, Api::SSeries200];

async fn pbx(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_download_from_another_address_than_its_ticket_fails() {
    for &api in Api::S_SERIES {
        let pbx = pbx(api).await;
        let nat = Wire::behind_nat(&pbx, ODD_NAT).await;
        let gateway = gateway_for(&pbx, api).pbx_url(nat.url()).start().await;

        assert_eq!(gateway.problem(NAME).await.slug, "pbx-ticket-refused");

        let seen = pbx.seen();
        assert_eq!((seen.tickets_issued, seen.tickets_refused), (2, 2));
        assert_eq!(seen.allowedip_values, [None, None]);
    }
}

#[tokio::test]
async fn a_fixed_allowed_ip_lets_downloads_leave_from_there() {
    for &api in WITH_ALLOWED_IP {
        let pbx = pbx(api).await;
        let nat = Wire::behind_nat(&pbx, ODD_NAT).await;
        let gateway = gateway_for(&pbx, api)
            .pbx_url(nat.url())
            .set("pbx.allowed_ip", "127.0.0.3")
            .start()
            .await;

        assert_eq!(
            gateway.fetch(NAME).await,
            pbx.recording_bytes(NAME).unwrap()
        );

        let seen = pbx.seen();
        assert_eq!((seen.tickets_issued, seen.tickets_used), (1, 1));
        assert_eq!(seen.allowedip_values, [Some(THIRD.to_string())]);
    }
}

#[tokio::test]
async fn an_automatic_allowed_ip_is_the_address_the_gateway_has() {
    for &api in WITH_ALLOWED_IP {
        for (bind, address) in [
            ("", Ipv4Addr::LOCALHOST),
            ("bind_address = \"127.0.0.2\"", SECOND),
        ] {
            // Every connection comes from this address, also that of the audio.
            let builder = Simulator::builder(api).recording(NAME, wav::music(3));
            let pbx = builder
                .allowed_peers([IpAddr::V4(address)])
                .start()
                .await
                .unwrap();
            let gateway = gateway_for(&pbx, api)
                .lines("[pbx]", &format!("allowed_ip = \"auto\"\n{bind}"))
                .start()
                .await;

            assert_eq!(
                gateway.fetch(NAME).await,
                pbx.recording_bytes(NAME).unwrap()
            );

            let seen = pbx.seen();
            assert_eq!(seen.allowedip_values, [Some(address.to_string())]);
            assert_eq!(seen.connections_dropped, 0);
        }
    }
}

#[tokio::test]
async fn allowed_ip_is_refused_for_a_version_that_does_not_have_it() {
    let pbx = pbx(Api::SSeries101).await;
    for value in ["auto", "127.0.0.3"] {
        let line = format!("allowed_ip = \"{value}\"");
        for &api in Api::S_SERIES {
            let builder = gateway_for(&pbx, api).lines("[pbx]", &line);
            let problems = GatewayParts::load(&builder.write()).err();
            let keys: Vec<_> = problems
                .iter()
                .flat_map(|problems| problems.iter())
                .map(|problem| problem.key.clone())
                .collect();
            let has_it = WITH_ALLOWED_IP.contains(&api);
            let expected: &[&str] = if has_it { &[] } else { &["pbx[0].allowed_ip"] };
            assert_eq!(keys, expected, "{api} {value}");
        }
    }
}

#[tokio::test]
async fn a_login_sends_only_configured_fields() {
    let nothing = LoginFields::default();
    let all = "report_port = 8260\nreport_url = \"10.0.0.7\"\nreport_version = \"1.0.2\"";
    let rows = [
        ("", nothing),
        (
            "report_port = 8260",
            LoginFields {
                port: true,
                ..nothing
            },
        ),
        (
            "report_url = \"10.0.0.7\"",
            LoginFields {
                url: true,
                ..nothing
            },
        ),
        (
            "report_version = \"1.0.2\"",
            LoginFields {
                version: true,
                ..nothing
            },
        ),
        (
            all,
            LoginFields {
                port: true,
                url: true,
                version: true,
                ..nothing
            },
        ),
    ];
    for &api in Api::S_SERIES {
        for (lines, expected) in rows {
            let pbx = pbx(api).await;
            let gateway = gateway_for(&pbx, api).lines("[pbx]", lines).start().await;
            gateway.fetch(NAME).await;
            assert_eq!(pbx.seen().login_fields, [expected], "{api} {lines}");
        }
    }
}

#[tokio::test]
async fn a_token_is_logged_out_at_exit_only_if_configured() {
    for &api in Api::S_SERIES {
        for (line, logouts) in [("", 0), ("logout = false", 0), ("logout = true", 1)] {
            let pbx = pbx(api).await;
            let gateway = gateway_for(&pbx, api).lines("[pbx]", line).start().await;
            gateway.fetch(NAME).await;
            gateway.fetch(NAME).await;
            assert_eq!((pbx.seen().requests.logout, pbx.tokens_live()), (0, 1));

            assert!(gateway.app.shut_down().await);

            let seen = pbx.seen();
            let case = format!("{api} {line:?}");
            assert_eq!(
                (seen.requests.logout, seen.logouts),
                (logouts, logouts),
                "{case}"
            );
            assert_eq!(pbx.tokens_live() as u64, 1 - logouts, "{case}");
            // A token in use needs no heartbeat, and the gateway sent no other request.
            assert_eq!(seen.requests.heartbeat, 0, "{case}");
            assert_eq!(seen.requests.total(), 5 + logouts, "{case}");
        }
    }
}

//! The same faults at a Cloud PBX and a P-Series, where dead tokens are exchanged without a login.

use wavegate::simulator::{Api, Switch};

use super::Expect::{Problem, SameBytes};
use super::{check_at, check_mending};

#[tokio::test]
async fn each_p_series_fault_gives_its_own_problem() {
    let p = Api::PSeries;
    for row in [
        ("login:html=200", Problem("pbx-protocol"), 0, 1),
        ("login:wrong-json", Problem("pbx-protocol"), 0, 1),
        ("login:garbage", Problem("pbx-protocol"), 0, 1),
        ("login:huge-json", Problem("pbx-protocol"), 0, 1),
        (
            "login:close-before-answer",
            Problem("pbx-unreachable"),
            0,
            1,
        ),
        ("login:stall-after=10", Problem("pbx-timeout"), 0, 1),
        ("login:errno=-1", Problem("pbx-login-refused"), 0, 1),
        ("login:errno=10001", Problem("pbx-api-unsupported"), 0, 1),
        ("login:errno=60002", Problem("pbx-held-off"), 0, 1),
        ("login:errno=70004", Problem("pbx-held-off"), 0, 1),
        ("login:errno=70087", Problem("pbx-address-forbidden"), 0, 1),
        ("login:errno=70123", Problem("pbx-api-unsupported"), 0, 1),
        ("login:no-close-notify", SameBytes, 1, 1),
        (
            "get-random:errno=10005",
            Problem("pbx-permission-missing"),
            0,
            1,
        ),
        (
            "get-random:errno=60001",
            Problem("recording-not-found"),
            0,
            1,
        ),
        ("get-random:errno=-2", SameBytes, 1, 1),
        ("get-random:errno=99999", Problem("pbx-protocol"), 0, 1),
        ("get-random:status=503", SameBytes, 1, 1),
        ("get-random:close-before-answer", SameBytes, 1, 1),
        ("get-random:stall-after=0", Problem("pbx-timeout"), 1, 1),
        ("get-random:garbage", Problem("pbx-protocol"), 0, 1),
        ("get-random:huge-json", Problem("pbx-protocol"), 0, 1),
        // A dead token is exchanged, also where the PBX answers with a page only.
        ("get-random:errno=10004", SameBytes, 1, 1),
        ("get-random:html=200", SameBytes, 1, 1),
        ("get-random:html=403", SameBytes, 1, 1),
        ("get-random:dead-token-after-ticket", SameBytes, 2, 1),
        (
            "get-random:errno=10004:times=forever",
            Problem("pbx-token-refused"),
            0,
            1,
        ),
        (
            "get-random:html=200:times=forever",
            Problem("pbx-protocol"),
            0,
            1,
        ),
        (
            "download:errno=10005",
            Problem("pbx-permission-missing"),
            1,
            1,
        ),
        ("download:status=302", Problem("pbx-protocol"), 1, 1),
        ("download:stall-after=5", Problem("pbx-timeout"), 1, 1),
        ("any:slow=20ms:times=forever", SameBytes, 1, 1),
    ] {
        check_at(p, &[], row).await;
    }
}

#[tokio::test]
async fn a_download_that_breaks_is_mended_at_every_pbx() {
    for fault in [
        "download:cut-after=200000:with-length",
        "download:reset-after=200000",
        "download:stall-after=200000",
    ] {
        tokio::join!(
            check_mending(Api::PSeries, &[], fault),
            check_mending(Api::Cloud110, &[], fault),
            check_mending(Api::Cloud200, &[], fault),
        );
    }
}

#[tokio::test]
async fn most_faults_of_a_p_series_file_cost_one_more_address() {
    // Each token was valid when it asked for the address, so another program may have used it up.
    let worn_out = ("download:errno=10004:times=5", SameBytes, 6, 1);
    check_at(Api::PSeries, &[], worn_out).await;
    let always = (
        "download:errno=10004:times=forever",
        Problem("pbx-token-refused"),
        6,
        1,
    );
    check_at(Api::PSeries, &[], always).await;
    for (fault, forever) in [
        ("errno=60001", "recording-not-found"),
        ("errno=-2", "pbx-internal-error"),
        ("html=200", "pbx-protocol"),
        ("html=403", "pbx-ticket-refused"),
        ("html=404", "recording-not-found"),
        ("html=503", "pbx-overloaded"),
        ("status=200", "pbx-protocol"),
        ("status=401", "pbx-ticket-refused"),
        ("status=500", "pbx-protocol"),
        ("wrong-json", "pbx-protocol"),
        ("garbage", "pbx-protocol"),
        ("close-before-answer", "pbx-unreachable"),
        ("reset-after=0", "pbx-unreachable"),
        ("cut-after=5", "pbx-protocol"),
        ("cut-after=5:with-length", "pbx-protocol"),
    ] {
        let once = format!("download:{fault}");
        check_at(Api::PSeries, &[], (&once, SameBytes, 2, 1)).await;
        let always = format!("{once}:times=forever");
        check_at(Api::PSeries, &[], (&always, Problem(forever), 2, 1)).await;
    }
}

#[tokio::test]
async fn each_cloud_pbx_fault_gives_its_own_problem() {
    for api in [Api::Cloud110, Api::Cloud200] {
        // A page of a system in front of the PBX, at each call.
        for row in [
            ("login:html=504", Problem("pbx-timeout"), 0, 1),
            ("get-random:html=504", SameBytes, 1, 1),
            ("get-random:html=504:times=2", Problem("pbx-timeout"), 0, 1),
            ("download:html=504", SameBytes, 2, 1),
            ("download:html=504:times=2", Problem("pbx-timeout"), 2, 1),
            ("get-random:errno=20014", Problem("recording-deleted"), 0, 1),
        ] {
            check_at(api, &[], row).await;
        }
        // Both tokens of a pair die together, so the exchange is refused and a login follows.
        check_at(
            api,
            &[],
            ("get-random:dead-token-after-ticket", SameBytes, 2, 2),
        )
        .await;
        let outlives = &[Switch::RefreshOutlivesToken];
        check_at(api, outlives, ("get-random:errno=20004", SameBytes, 1, 1)).await;
    }
}

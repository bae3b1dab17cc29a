//! The rows of the P-Series: switches that only it has, and those with another effect than at the
//! S-Series.

use wavegate::simulator::Switch;

use super::super::case::{Case, Expect};
use super::super::setup::{Act, Name, Way};

/// The cases of a switch at a P-Series; `None` where they are the same as for the S-Series.
pub(super) fn cases(switch: Switch) -> Option<Vec<Case>> {
    let fetch = Case::fetch;
    let clear = Case::in_clear;
    let unknown = || Case::fetch().name(Name::Unknown);
    Some(match switch {
        // Switches that have another effect elsewhere.
        Switch::NoCloseNotify => {
            // Files have a length, so close_notify does not matter.
            vec![
                fetch().act(Act::FetchTwice),
                fetch().with(&[Switch::Mp3]),
                fetch()
                    .with(&[Switch::DownloadWithoutLength, Switch::Mp3])
                    .seen(|seen| seen.tickets_issued == 2),
            ]
        }
        Switch::GrowingFile => vec![
            fetch().expect(Expect::FirstHalf),
            // It was not cached, since it may still have been growing.
            fetch().name(Name::Young).act(Act::FetchAgain),
            // The second end does not agree with the first.
            fetch()
                .with(&[Switch::DownloadWithoutLength])
                .expect(Expect::Broken),
        ],
        Switch::JsonWithLength => {
            let not_there = clear().name(Name::Unknown).problem("recording-not-found");
            vec![fetch(), not_there.said("Content-Length: ")]
        }
        Switch::UnsolicitedExtras => vec![
            fetch(),
            clear().said(r#""sn" : null"#),
            unknown().problem("recording-not-found"),
        ],
        Switch::MissingTokenField | Switch::BlankTokenField => {
            let case = fetch().problem("pbx-protocol");
            vec![case.seen(|seen| seen.logins_ok == 1 && seen.requests.total() == 1)]
        }
        Switch::NoRecordingEcho => vec![fetch(), clear().never_said(r#""file":"#)],
        Switch::FilesDeleted => vec![fetch().problem("recording-not-found")],
        Switch::TokenBoundRandom => {
            let case = fetch().inject("get-random:dead-token-after-ticket");
            vec![case.seen(|seen| seen.refreshes == 1 && seen.tickets_issued == 2)]
        }
        Switch::DownloadErrorsAre404Html => {
            let refused = clear().stale_tickets().problem("recording-not-found");
            vec![fetch(), refused.said("HTTP/1.1 404 ")]
        }
        Switch::DownloadErrorsAre403Html => {
            // 403 may also mean a dead token, so the gateway exchanges the token first.
            let case = fetch().stale_tickets().problem("pbx-ticket-refused");
            vec![fetch(), case.seen(|seen| seen.refreshes > 0)]
        }
        Switch::DownloadErrorsAreEmpty => vec![fetch(), stale().problem("pbx-protocol")],
        Switch::DownloadTypeWav => vec![fetch(), clear().said("Content-Type: audio/wav\r\n")],
        Switch::DownloadWithoutType => vec![fetch(), clear().never_said("audio/x-wav")],
        Switch::RawQuery => {
            let odd = fetch().name(Name::Odd).problem("recording-not-found");
            vec![fetch(), odd]
        }
        Switch::Mp3 => {
            let second = fetch()
                .act(Act::FetchBeside(1))
                .pbx("not_ready_retry_ms = [1]")
                .problem("pbx-overloaded");
            vec![
                fetch().other_form(),
                second.seen(|seen| seen.downloads_started == 1 && seen.requests.download == 3),
            ]
        }
        Switch::ZeroBytes => {
            let told = fetch().problem("recording-empty");
            let untold = fetch().with(&[Switch::DownloadWithoutLength]);
            let untold = untold.problem("pbx-protocol");
            vec![
                told.seen(|seen| seen.tickets_used == 1),
                untold.seen(|seen| seen.tickets_used == 2),
            ]
        }
        Switch::Gsm
        | Switch::HeaderOnly
        | Switch::RiffSizeZero
        | Switch::RiffSizeMax
        | Switch::Stereo => {
            vec![
                fetch().other_form(),
                fetch().with(&[Switch::DownloadWithoutLength]),
            ]
        }

        // The form of answers.
        Switch::ErrcodeAsString => vec![
            fetch(),
            clear()
                .name(Name::Unknown)
                .problem("recording-not-found")
                .said(r#""errcode":"60001""#),
        ],
        Switch::WithoutMessage => vec![fetch(), clear().never_said("errmsg")],
        Switch::PlusIsPlus => vec![fetch().name(Name::Odd)],

        // Tokens and access rights.
        Switch::NoRefreshToken => {
            let case = fetch().act(Act::ExpireBetween);
            vec![case.seen(|seen| seen.logins_ok == 2 && seen.requests.refresh == 0)]
        }
        Switch::LifetimesMissing => vec![fetch(), clear().never_said("expire_time")],
        Switch::OldAccessTokenLivesOn => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.refreshes == 1),
        ],
        Switch::RefreshFails => {
            let case = fetch().act(Act::ExpireBetween);
            vec![case.seen(|seen| seen.logins_ok == 2 && seen.requests.refresh == 1)]
        }
        Switch::RefreshNeedsSlot => vec![
            fetch()
                .act(Act::ExpireBetween)
                .seen(|seen| seen.refreshes == 1),
            // Another program has taken the slot meanwhile: neither an exchange nor a login gets
            // one.
            fetch()
                .act(Act::LoseSlotBetween)
                .problem("pbx-held-off")
                .seen(|seen| seen.requests.refresh == 1 && seen.requests.login == 1),
        ],
        Switch::LockoutBlocksEveryCall => {
            let case = fetch().act(Act::LockOutBetween).problem("pbx-held-off");
            vec![fetch(), case]
        }
        Switch::TokenDiesBetween => {
            vec![fetch().seen(|seen| seen.refreshes == 1 && seen.tickets_issued == 2)]
        }
        Switch::AccessDenied10005 => {
            let case = fetch().problem("pbx-permission-missing");
            vec![case.seen(|seen| seen.requests.get_random == 1)]
        }
        Switch::IpForbidden70087 => {
            let case = fetch().problem("pbx-address-forbidden");
            vec![case.seen(|seen| seen.requests.total() == 1)]
        }
        Switch::ApiOff70123 => {
            let case = fetch().problem("pbx-api-unsupported");
            vec![case.seen(|seen| seen.requests.total() == 1)]
        }

        // recording/download.
        Switch::Processing2Once | Switch::Overload70082Once => {
            let case = fetch().pbx("not_ready_retry_ms = [1]");
            vec![case.seen(|seen| seen.requests.get_random == 2 && seen.tickets_issued == 1)]
        }
        Switch::Processing2Always | Switch::Overload70082Always => {
            let case = fetch().pbx("not_ready_retry_ms = [1, 1]");
            let case = case.problem("pbx-overloaded");
            vec![case.seen(|seen| seen.requests.get_random == 3)]
        }
        Switch::PartialSuccess1 => vec![fetch().problem("pbx-protocol")],
        Switch::InternalMinus2Once => vec![fetch().seen(|seen| seen.requests.get_random == 2)],
        Switch::InternalMinus2Always => {
            let case = fetch().problem("pbx-internal-error");
            vec![case.seen(|seen| seen.requests.get_random == 2)]
        }
        Switch::UnknownFileIs40002 => unknown_file(r#""errcode":40002"#),
        Switch::UnknownFileIsMinus1 => unknown_file(r#""errcode":-1"#),

        // The address of the file.
        Switch::ResourceUrlSingleUse => vec![fetch().act(Act::FetchTwice)],
        Switch::ResourceUrlAbsolute => {
            vec![fetch(), clear().said("\"download_resource_url\":\"http")]
        }
        Switch::ResourceUrlElsewhere
        | Switch::ResourceUrlProtocolRelative
        | Switch::ResourceUrlLineBreak
        | Switch::ResourceUrlMissing
        | Switch::ResourceUrlBlank => {
            let case = fetch().problem("pbx-protocol");
            vec![case.seen(|seen| seen.tickets_issued == 1 && seen.requests.download == 0)]
        }
        Switch::ResourceUrlBackslash => {
            // Six spellings, one after the other.
            let case = fetch().act(Act::FetchAll(6)).problem("pbx-protocol");
            vec![case.seen(|seen| seen.tickets_issued == 6 && seen.requests.download == 0)]
        }
        Switch::ResourceUrlWithQuery => vec![fetch(), clear().said("?attname=")],
        Switch::DownloadAttachmentPrefix => {
            vec![fetch(), clear().said("/api/downloadattachment/")]
        }
        Switch::Mp3ResourceSuffix => vec![fetch(), clear().said(".mp3")],

        // The file.
        Switch::RasLoginShell => {
            let dead = fetch().inject("get-random:dead-token-after-ticket");
            vec![
                fetch(),
                dead.way(Way::Wire)
                    .with(&[Switch::PlainHttp])
                    .said("<html")
                    .seen(|seen| seen.refreshes == 1 && seen.tickets_issued == 2),
            ]
        }
        Switch::DownloadWithoutLength => vec![fetch(), clear().never_said("Content-Length: 48308")],
        Switch::DownloadTypeOctetStream => vec![fetch(), clear().said("octet-stream")],
        _ => return None,
    })
}

/// A recording whose two addresses are both stale.
fn stale() -> Case {
    let stale = Case::fetch().stale_tickets();
    stale.seen(|seen| seen.tickets_refused == 2 && seen.tickets_issued == 2)
}

/// A PBX that reports an unknown recording in another way. For a name in the PBX's own grammar it
/// means not found, for any other name it means an invalid name.
fn unknown_file(words: &'static str) -> Vec<Case> {
    let odd = Case::in_clear().name(Name::Unknown);
    let missing = Case::fetch().name(Name::Missing);
    vec![
        Case::fetch(),
        odd.problem("recording-name-invalid").said(words),
        missing.problem("recording-not-found"),
    ]
}

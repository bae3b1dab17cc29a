//! The text form of faults, for the command line.
//!
//! Knows how to read and write the grammar below. Does not know what the faults do.
//!
//! ```text
//! fault     = operation ":" what *( ":" option )
//! operation = "login" | "refresh" | "get-random" | "download" | "heartbeat" | "logout"
//!           | "cdr-random" | "cdr-download" | "list" | "any"
//! what      = "slow=" duration | "throttle=" bytes-per-s
//!           | "cut-after=" bytes | "reset-after=" bytes | "stall-after=" bytes
//!           | "no-close-notify" | "html=" status | "wrong-json" | "garbage" | "errno=" number
//!           | "status=" status | "huge-json" | "close-before-answer" | "other-range"
//!           | "dead-token-after-ticket"
//! option    = "times=" ( number | "forever" )      ; 1 if not given
//!           | "with-length"                        ; of cut-after only
//!           | "of=" recording                      ; of download only; a name without a colon
//! duration  = number ( "ms" | "s" )
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{CallKind, Misbehavior, ScriptedFault, Times};

/// The reason why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The text has no colon, so the call or the misbehavior is missing.
    #[error("a fault is written operation:what, such as download:cut-after=1000, not {0:?}")]
    Shape(String),
    /// The call is not known.
    #[error(
        "unknown operation {0:?}; known are login, refresh, get-random, download, heartbeat, logout, cdr-random, cdr-download, list and any"
    )]
    Operation(String),
    /// The misbehavior is not known.
    #[error("unknown fault {0:?}")]
    What(String),
    /// The misbehavior needs a value and has none.
    #[error("{0} needs a value, as in {0}=…")]
    Missing(String),
    /// The value does not fit the misbehavior or option.
    #[error("{value:?} is not a valid value for {key}")]
    Value {
        /// The misbehavior or option.
        key: String,
        /// The value as it was given.
        value: String,
    },
    /// The option is not known, or does not apply to this misbehavior.
    #[error(
        "unknown option {0:?}; known are times=N, times=forever, with-length for cut-after, and of=RECORDING for download"
    )]
    Option(String),
}

impl FromStr for ScriptedFault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(on), Some(what)) = (parts.next(), parts.next()) else {
            return Err(FaultError::Shape(text.to_owned()));
        };
        let mut fault = Self::once(on.parse()?, misbehavior(what)?);
        for option in parts {
            fault.apply(option)?;
        }
        Ok(fault)
    }
}

impl ScriptedFault {
    fn apply(&mut self, option: &str) -> Result<(), FaultError> {
        match (option.split_once('='), &mut self.misbehavior) {
            (Some(("times", "forever")), _) => self.times = Times::Forever,
            (Some(("times", count)), _) => self.times = Times::Exactly(number("times", count)?),
            (Some(("of", recording)), _) if self.kind == CallKind::Download => {
                self.recording = Some(recording.to_owned());
            }
            (None, Misbehavior::Cut { with_length, .. }) if option == "with-length" => {
                *with_length = true;
            }
            _ => return Err(FaultError::Option(option.to_owned())),
        }
        Ok(())
    }
}

impl FromStr for CallKind {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "login" => Ok(Self::Login),
            "refresh" => Ok(Self::Refresh),
            "get-random" => Ok(Self::GetRandom),
            "download" => Ok(Self::Download),
            "heartbeat" => Ok(Self::Heartbeat),
            "logout" => Ok(Self::Logout),
            "cdr-random" => Ok(Self::CdrRandom),
            "cdr-download" => Ok(Self::CdrDownload),
            "list" => Ok(Self::List),
            "any" => Ok(Self::Any),
            _ => Err(FaultError::Operation(text.to_owned())),
        }
    }
}

fn misbehavior(text: &str) -> Result<Misbehavior, FaultError> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let needed = || value.ok_or_else(|| FaultError::Missing(key.to_owned()));
    let bytes = || needed().and_then(|value| number(key, value));
    let what = match key {
        "slow" => Misbehavior::Slow(duration(key, needed()?)?),
        "throttle" => Misbehavior::Throttle {
            bytes_per_s: bytes()?,
        },
        "cut-after" => Misbehavior::Cut {
            after_bytes: bytes()?,
            with_length: false,
        },
        "reset-after" => Misbehavior::Reset {
            after_bytes: bytes()?,
        },
        "stall-after" => Misbehavior::Stall {
            after_bytes: bytes()?,
        },
        "html" => Misbehavior::Html {
            status: status(key, needed()?)?,
        },
        "status" => Misbehavior::Status(status(key, needed()?)?),
        "errno" => Misbehavior::Errno(digits(key, needed()?)?),
        _ => return without_value(text),
    };
    Ok(what)
}

fn without_value(text: &str) -> Result<Misbehavior, FaultError> {
    match text {
        "no-close-notify" => Ok(Misbehavior::NoCloseNotify),
        "wrong-json" => Ok(Misbehavior::WrongJson),
        "garbage" => Ok(Misbehavior::NotJsonGarbage),
        "huge-json" => Ok(Misbehavior::HugeJson),
        "close-before-answer" => Ok(Misbehavior::CloseBeforeAnswer),
        "other-range" => Ok(Misbehavior::OtherRange),
        "dead-token-after-ticket" => Ok(Misbehavior::DeadTokenAfterTicket),
        _ => Err(FaultError::What(text.to_owned())),
    }
}

fn bad_value(key: &str, value: &str) -> FaultError {
    let (key, value) = (key.to_owned(), value.to_owned());
    FaultError::Value { key, value }
}

fn number<N: FromStr>(key: &str, value: &str) -> Result<N, FaultError> {
    value.parse().map_err(|_| bad_value(key, value))
}

fn status(key: &str, value: &str) -> Result<u16, FaultError> {
    let status = number(key, value)?;
    let known = (200..=599).contains(&status);
    known.then_some(status).ok_or_else(|| bad_value(key, value))
}

/// Accepts an optional minus sign and digits; error codes of a P-Series may be negative.
fn digits(key: &str, value: &str) -> Result<String, FaultError> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| value.to_owned())
        .ok_or_else(|| bad_value(key, value))
}

fn duration(key: &str, value: &str) -> Result<Duration, FaultError> {
    let parsed = match value.strip_suffix("ms") {
        Some(millis) => millis.parse().map(Duration::from_millis),
        None => value
            .strip_suffix('s')
            .unwrap_or_default()
            .parse()
            .map(Duration::from_secs),
    };
    parsed.map_err(|_| bad_value(key, value))
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login",
            Self::GetRandom => "get-random",
            Self::Download => "download",
            Self::Refresh => "refresh",
            Self::CdrRandom => "cdr-random",
            Self::CdrDownload => "cdr-download",
            Self::List => "list",
            Self::Heartbeat => "heartbeat",
            Self::Logout => "logout",
            Self::Any => "any",
        })
    }
}

impl fmt::Display for Misbehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(delay) => write!(f, "slow={}ms", delay.as_millis()),
            Self::Throttle { bytes_per_s } => write!(f, "throttle={bytes_per_s}"),
            Self::Cut {
                after_bytes,
                with_length,
            } => {
                let option = if *with_length { ":with-length" } else { "" };
                write!(f, "cut-after={after_bytes}{option}")
            }
            Self::Reset { after_bytes } => write!(f, "reset-after={after_bytes}"),
            Self::Stall { after_bytes } => write!(f, "stall-after={after_bytes}"),
            Self::NoCloseNotify => f.write_str("no-close-notify"),
            Self::Html { status } => write!(f, "html={status}"),
            Self::WrongJson => f.write_str("wrong-json"),
            Self::NotJsonGarbage => f.write_str("garbage"),
            Self::Errno(errno) => write!(f, "errno={errno}"),
            Self::Status(status) => write!(f, "status={status}"),
            Self::HugeJson => f.write_str("huge-json"),
            Self::CloseBeforeAnswer => f.write_str("close-before-answer"),
            Self::OtherRange => f.write_str("other-range"),
            Self::DeadTokenAfterTicket => f.write_str("dead-token-after-ticket"),
        }
    }
}

impl fmt::Display for ScriptedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:times=", self.kind, self.misbehavior)?;
        match self.times {
            Times::Exactly(count) => write!(f, "{count}"),
            Times::Forever => f.write_str("forever"),
        }?;
        match &self.recording {
            Some(recording) => write!(f, ":of={recording}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: ScriptedFault) {
        assert_eq!(text.parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }

    #[test]
    fn a_written_fault_parses_back() {
        use Misbehavior::*;
        let cut = |with_length| Cut {
            after_bytes: 1000,
            with_length,
        };
        check(
            "download:cut-after=1000:times=1",
            ScriptedFault::once(CallKind::Download, cut(false)),
        );
        check(
            "download:cut-after=1000:with-length",
            ScriptedFault::once(CallKind::Download, cut(true)),
        );
        check(
            "login:slow=1500ms:times=3",
            ScriptedFault::times(3, CallKind::Login, Slow(Duration::from_millis(1500))),
        );
        check(
            "any:slow=2s:times=forever",
            ScriptedFault::forever(CallKind::Any, Slow(Duration::from_secs(2))),
        );
        check(
            "get-random:errno=20012",
            ScriptedFault::once(CallKind::GetRandom, Errno("20012".into())),
        );
        check(
            "refresh:errno=-1",
            ScriptedFault::once(CallKind::Refresh, Errno("-1".into())),
        );
        check(
            "heartbeat:status=503",
            ScriptedFault::once(CallKind::Heartbeat, Status(503)),
        );
        check(
            "logout:html=200",
            ScriptedFault::once(CallKind::Logout, Html { status: 200 }),
        );
        check(
            "download:throttle=16000",
            ScriptedFault::once(
                CallKind::Download,
                Throttle {
                    bytes_per_s: 16_000,
                },
            ),
        );
        check(
            "download:reset-after=0",
            ScriptedFault::once(CallKind::Download, Reset { after_bytes: 0 }),
        );
        check(
            "download:garbage:of=a=b.wav:times=2",
            ScriptedFault::times(2, CallKind::Download, NotJsonGarbage).for_recording("a=b.wav"),
        );
        check(
            "download:stall-after=9",
            ScriptedFault::once(CallKind::Download, Stall { after_bytes: 9 }),
        );
        let valueless = [
            NoCloseNotify,
            WrongJson,
            NotJsonGarbage,
            HugeJson,
            CloseBeforeAnswer,
            OtherRange,
            DeadTokenAfterTicket,
        ];
        for what in valueless {
            check(
                &format!("any:{what}"),
                ScriptedFault::once(CallKind::Any, what),
            );
        }
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let message = text.parse::<ScriptedFault>().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        refused("download", "operation:what");
        refused("upload:garbage", "\"upload\"");
        refused("login:explode", "\"explode\"");
        refused("login:slow", "slow needs a value");
        refused("login:slow=5", "\"5\" is not a valid value for slow");
        refused("login:status=99", "\"99\" is not a valid value for status");
        refused("login:errno=abc", "\"abc\" is not a valid value for errno");
        refused(
            "login:garbage:with-length",
            "unknown option \"with-length\"",
        );
        refused("login:garbage:of=a.wav", "unknown option \"of=a.wav\"");
        refused(
            "login:garbage:times=many",
            "\"many\" is not a valid value for times",
        );
    }
}

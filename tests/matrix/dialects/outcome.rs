//! The outcome of an answer.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::harness::Answer;

#[derive(Debug)]
pub(super) enum Outcome {
    Bytes(Bytes),
    /// The bytes of a requested range.
    Part(Bytes),
    Problem(String),
    Broken,
    /// The names in a list.
    Names(Vec<String>),
}

/// An error means that not even a head came: a transfer that breaks early loses its head, too.
pub(super) type Asked = Result<Answer, hyper::Error>;

pub(super) async fn listed(answer: Answer) -> Outcome {
    if answer.status() != StatusCode::OK {
        return Outcome::Problem(answer.problem().await.slug);
    }
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let entries = document["recordings"].as_array().unwrap();
    let names = entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned());
    Outcome::Names(names.collect())
}

pub(super) fn came_through(outcome: Outcome) -> Result<(), Outcome> {
    match outcome {
        Outcome::Bytes(_) => Ok(()),
        other => Err(other),
    }
}

pub(super) async fn outcome(asked: Asked) -> Outcome {
    let Ok(answer) = asked else {
        return Outcome::Broken;
    };
    if answer.status() == StatusCode::PARTIAL_CONTENT {
        return answer.bytes().await.map_or(Outcome::Broken, Outcome::Part);
    }
    if answer.status() != StatusCode::OK {
        return Outcome::Problem(answer.problem().await.slug);
    }
    let media_type = answer.header("content-type").unwrap().to_owned();
    match answer.bytes().await {
        Err(_) => Outcome::Broken,
        Ok(bytes) => {
            // The type depends on the content, whatever type the PBX sends.
            let expected = if bytes.starts_with(b"RIFF") {
                "audio/wav"
            } else {
                "audio/mpeg"
            };
            assert_eq!(media_type, expected);
            Outcome::Bytes(bytes)
        }
    }
}

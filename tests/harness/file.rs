//! A configuration file: set key by key, and written as a person would write it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// Sets the key at a path such as `relay.max_streams` or `pbx[1].tls.pins`. Without an index the
/// key belongs to the first table of an array.
pub(super) fn set(config: &mut Value, path: &str, value: Value) {
    let mut place = config;
    for step in path.split('.') {
        let (key, index) = match step.split_once('[') {
            Some((key, index)) => (key, index.strip_suffix(']').unwrap().parse::<usize>().ok()),
            None => (step, None),
        };
        place = &mut first(place)[key];
        if let Some(index) = index {
            place = &mut place[index];
        }
    }
    *place = value;
}

/// The table itself, or the first of an array of tables.
fn first(value: &mut Value) -> &mut Value {
    match value {
        Value::Array(tables) => &mut tables[0],
        table => table,
    }
}

/// Merges lines of a configuration file. `[[…]]` adds a table, `[…]` sets keys in the first one.
pub(super) fn merge(config: &mut Value, lines: &str) {
    take_over(config, toml::from_str(lines).unwrap());
}

fn take_over(old: &mut Value, new: Value) {
    match new {
        Value::Object(table) => {
            let old = first(old);
            if !old.is_object() {
                *old = json!({});
            }
            for (key, value) in table {
                take_over(&mut old[&key], value);
            }
        }
        Value::Array(tables) if old.is_array() && tables.iter().any(Value::is_object) => {
            old.as_array_mut().unwrap().extend(tables);
        }
        value => *old = value,
    }
}

/// The text of the file.
pub(super) fn text(config: &Value) -> String {
    let mut text = String::new();
    write(&mut text, "", config.as_object().unwrap());
    text
}

/// Keys come in front of tables, so that each stands under its own header.
fn write(text: &mut String, path: &str, table: &Map<String, Value>) {
    let entries = table.iter().filter(|(_, value)| !value.is_null());
    let (tables, keys): (Vec<_>, Vec<_>) = entries.partition(|(_, value)| is_table(value));
    for (key, value) in keys {
        let _ = writeln!(text, "{} = {}", quoted(key), inline(value));
    }
    for (key, value) in tables {
        let path = match path {
            "" => quoted(key),
            path => format!("{path}.{}", quoted(key)),
        };
        let (elements, header) = match value {
            Value::Array(elements) => (elements.as_slice(), format!("[[{path}]]")),
            table => (std::slice::from_ref(table), format!("[{path}]")),
        };
        for element in elements {
            let _ = writeln!(text, "{header}");
            write(text, &path, element.as_object().unwrap());
        }
    }
}

/// A key with a dot or a blank in it stands in quotation marks.
fn quoted(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

fn is_table(value: &Value) -> bool {
    let is_array_of_tables =
        |elements: &Vec<Value>| !elements.is_empty() && elements.iter().all(Value::is_object);
    value.is_object() || value.as_array().is_some_and(is_array_of_tables)
}

/// The strings, numbers and booleans of JSON are valid TOML, too.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(inline).collect();
            format!("[{}]", elements.join(", "))
        }
        value => value.to_string(),
    }
}
